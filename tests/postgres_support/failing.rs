//! A schema in which calls fail inside the server: an event whose id is the code of an error gets that error.
//!
//! Some ids are of no code: `ended` is an event whose backend is terminated, `cancelled` one whose statement is, `sixth` one that
//! loses its race five times, and `waits` one that does not fail, and goes on when it is told to.

use super::server;

/// When a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// While its statement runs.
    InIt,
    /// After its statement, when all of its rows are written and the transaction is to be committed.
    AtItsEnd,
}

pub(crate) const MOMENTS: [Moment; 2] = [Moment::InIt, Moment::AtItsEnd];

/// Makes what fails, and counts how often it did. Nothing calls it yet.
pub(crate) fn prepare(schema: &str) {
    let sql = format!(
        "CREATE SEQUENCE \"{schema}\".failures;
        CREATE SEQUENCE \"{schema}\".releases;
        CREATE FUNCTION \"{schema}\".fails_as(p_code text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
            IF p_code !~ '^([0-9A-Z]{{5}}|ended|cancelled|sixth|waits)$' THEN RETURN; END IF;
            -- A sequence goes on, whatever is rolled back.
            PERFORM nextval('\"{schema}\".failures');
            IF p_code = 'ended' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            IF p_code = 'cancelled' THEN PERFORM pg_cancel_backend(pg_backend_pid()); END IF;
            IF p_code = 'waits' THEN
                WHILE NOT (SELECT is_called FROM \"{schema}\".releases) LOOP PERFORM pg_sleep(0.005); END LOOP;
                RETURN;
            END IF;
            IF p_code = 'sixth' AND currval('\"{schema}\".failures') > 5 THEN RETURN; END IF;
            RAISE EXCEPTION 'as a test wants it'
                USING ERRCODE = CASE p_code WHEN 'sixth' THEN 'TR001' ELSE p_code END;
        END $$;
        CREATE FUNCTION \"{schema}\".row_fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM \"{schema}\".fails_as(NEW.event_id);
            RETURN NULL;
        END $$"
    );
    server().psql(&sql).expect("functions");
}

/// Who inserts a row into the table fails.
pub(crate) fn insertions(schema: &str, table: &str, moment: Moment) {
    let (kind, deferred) = match moment {
        Moment::InIt => ("TRIGGER", ""),
        Moment::AtItsEnd => ("CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED"),
    };
    let sql = format!(
        "CREATE {kind} fails AFTER INSERT ON \"{schema}\".\"{table}\" {deferred}
        FOR EACH ROW EXECUTE FUNCTION \"{schema}\".row_fails()"
    );
    server().psql(&sql).expect("a trigger");
}

/// Who loads records fails.
pub(crate) fn loads(schema: &str) {
    let begins = format!("BEGIN PERFORM \"{schema}\".fails_as(p_event);");
    let sql = format!(
        "DO $do$ BEGIN
            EXECUTE regexp_replace(pg_get_functiondef('\"{schema}\".load_records'::regproc), '\\nBEGIN\\n', E'\\n{begins}\\n');
        END $do$"
    );
    server().psql(&sql).expect("another function");
}

/// Who waits goes on.
pub(crate) fn release(schema: &str) {
    server().psql(&format!("SELECT nextval('\"{schema}\".releases')")).expect("a number");
}

/// How often it failed, or was to fail.
pub(crate) fn count(schema: &str) -> usize {
    let sql = format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM \"{schema}\".failures");
    server().psql(&sql).expect("an answer").parse().expect("a number")
}

/// How many rows there are of an event, its operations, and its changes.
pub(crate) fn rows(schema: &str) -> String {
    let count = |table| format!("(SELECT count(*) FROM \"{schema}\".{table})");
    server()
        .psql(&format!("SELECT {} + {} + {}", count("event"), count("operation"), count("change")))
        .expect("an answer")
}
