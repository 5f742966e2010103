-- One row. A program may use the file if its own schema version is at least `compatible_with`.
CREATE TABLE lease_store (
    singleton       INTEGER PRIMARY KEY CHECK (singleton = 1),
    schema_version  INTEGER NOT NULL CHECK (schema_version >= 1),
    compatible_with INTEGER NOT NULL CHECK (compatible_with BETWEEN 1 AND schema_version),
    file_id         BLOB    NOT NULL CHECK (length(file_id) = 16)
) STRICT;
INSERT INTO lease_store VALUES (1, 1, 1, randomblob(16));

-- `expires_at` is in microseconds since the Unix epoch, UTC; `ttl` in microseconds. A lease never has more than its TTL
-- left: where it seems to, the clock has stepped back, and it is shortened.
CREATE TABLE lease (
    lock_key   TEXT    NOT NULL PRIMARY KEY,
    token      BLOB    NOT NULL CHECK (length(token) = 16),
    expires_at INTEGER NOT NULL,
    ttl        INTEGER NOT NULL CHECK (ttl >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX lease_by_expiry ON lease (expires_at);
