//! Answers that arrive.

use futures_util::TryStreamExt;
use tiberius::error::Error;
use tiberius::{Command, ToSql};

use super::scripted_tds::{Answer, Call, Message, Table, TdsServer, Transaction, Type, Value};
use super::{connect, number, seven, single, soon};

#[tokio::test]
async fn a_batch_and_a_procedure_have_several_results() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    let answer = Answer::rows(single(Type::Int, 1))
        .then_affected(3)
        .then_info(&Message::new(50_000, "as you know").class(0))
        .then_rows(single(Type::NVarChar(9), "two").row([Value::Null]))
        .then_rows(Table::new([("none", Type::Bit)]));
    server.answers([answer.clone(), answer.clone(), answer.clone(), answer, seven()]);
    let batch = soon(client.simple_query("EXEC everything")).await.expect("an answer");
    let batch = soon(batch.into_results()).await.expect("results");
    let procedure = soon(client.query("EXEC everything", &[])).await.expect("an answer");
    let procedure = soon(procedure.into_results()).await.expect("results");
    for results in [batch, procedure] {
        assert_eq!(results.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(results[0][0].get(0), Some(1_i32));
        assert_eq!(results[1][0].get(0), Some("two"));
    }
    let affected = soon(client.execute("EXEC everything", &[])).await.expect("an answer");
    assert_eq!(affected.rows_affected(), [1, 3, 2, 0]);
    let stream = soon(Command::new("everything").exec(&mut client)).await.expect("an answer");
    assert_eq!(soon(stream.into_command_result()).await.expect("a result").rows_affected(), [1, 3, 2, 0]);
    assert_eq!(number(&mut client).await.expect("an answer"), 7);
    let requests = server.requests();
    assert_eq!(requests[0].call, Call::Batch("EXEC everything".into()));
    assert!(matches!(&requests[1].call, Call::Procedure { name, .. } if name == "sp_executesql"));
    assert!(matches!(&requests[3].call, Call::Procedure { name, .. } if name == "everything"));
}

#[tokio::test]
async fn a_procedure_is_called_by_its_name_and_returns_a_status() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    server.answers([Answer::rows(single(Type::Int, 5)).returns(-3)]);
    let mut command = Command::new("dbo.hold_seats");
    command.bind_param("@seats", "A1,A2");
    command.bind_param("@for", 7_i64);
    let result = soon(command.exec(&mut client)).await.expect("an answer");
    let result = soon(result.into_command_result()).await.expect("a result");
    assert_eq!(result.return_code().cast_signed(), -3);
    let request = server.requests().remove(0);
    assert_eq!(request.sql(), "dbo.hold_seats");
    assert_eq!(request.values(), [&Value::from("A1,A2"), &Value::from(7_i64)]);
    assert_eq!(request.parameters()[0].name, "@seats");
}

#[tokio::test]
async fn an_error_has_its_number_and_class() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    let message = Message::new(2_627, "Violation of PRIMARY KEY constraint 'π'.").class(14).state(2).procedure("sell");
    server.answers([Answer::error(message.clone()), Answer::error(message.clone()), Answer::error(message), seven()]);
    let batch = soon(client.simple_query("INSERT")).await.map(|_| ()).expect_err("an error");
    let query = soon(client.query("INSERT", &[])).await.map(|_| ()).expect_err("an error");
    let execute = soon(client.execute("INSERT", &[])).await.map(|_| ()).expect_err("an error");
    for error in [batch, query, execute] {
        let Error::Server(token) = &error else { panic!("{error:?}") };
        assert_eq!((token.code(), token.class(), token.state(), token.line()), (2_627, 14, 2, 1));
        assert_eq!((token.message(), token.procedure()), ("Violation of PRIMARY KEY constraint 'π'.", "sell"));
    }
    assert_eq!(number(&mut client).await.expect("an answer"), 7);
}

#[tokio::test]
async fn an_error_comes_after_results_and_in_the_middle_of_rows() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    let deadlock = || Message::new(1_205, "You are the victim.").class(13);
    server.answers([
        Answer::rows(single(Type::BigInt, 1_i64)).then_error(deadlock()),
        Answer::new().then_some_rows(single(Type::BigInt, 1_i64)).then_error(deadlock()),
        seven(),
    ]);
    for _ in 0..2 {
        let rows = soon(client.query("SELECT it", &[])).await.expect("the beginning of an answer");
        let error = soon(rows.into_results()).await.expect_err("an error");
        assert_eq!(error.code(), Some(1_205), "{error:?}");
    }
    assert_eq!(number(&mut client).await.expect("an answer"), 7);
}

#[tokio::test]
async fn rules_go_before_the_queue_and_the_default_after_it() {
    let server = TdsServer::start().await;
    server.rule(|request| (request.sql() == "SELECT 1").then(|| Answer::rows(single(Type::Int, 1))));
    server.otherwise(|request| Some(Answer::rows(single(Type::BigInt, request.connection as i64))));
    server.answers([seven()]);
    let (mut first, mut second) = (connect(&server).await, connect(&server).await);
    let _ = soon(first.simple_query("SELECT 1")).await.expect("an answer");
    assert_eq!(server.answers_left(), 1);
    assert_eq!(number(&mut first).await.expect("an answer"), 7);
    assert_eq!(number(&mut second).await.expect("an answer"), 1);
    assert_eq!(number(&mut first).await.expect("an answer"), 0);
    let requests = server.requests();
    assert_eq!(requests.iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 0, 1, 0]);
}

#[tokio::test]
async fn a_transaction_has_the_descriptor_that_the_server_gave_it() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    server.answers([Answer::new().then_begun(77), seven(), Answer::new().then_ended(77), seven()]);
    soon(client.begin_transaction()).await.expect("a transaction");
    number(&mut client).await.expect("an answer");
    soon(client.commit_transaction()).await.expect("its end");
    number(&mut client).await.expect("an answer");
    let requests = server.requests();
    assert_eq!(requests.iter().map(|request| request.transaction).collect::<Vec<_>>(), [0, 77, 77, 0]);
    assert_eq!(requests[0].call, Call::Transaction(Transaction::Begin));
    assert_eq!(requests[2].call, Call::Transaction(Transaction::Commit));
}

#[tokio::test]
async fn a_hundred_thousand_characters_go_there_and_back() {
    let server = TdsServer::start().await;
    server.otherwise(|request| Some(Answer::rows(single(Type::NVarCharMax, request.values()[0].clone()))));
    let mut client = connect(&server).await;
    let text = "ä🎫x".repeat(25_000);
    let parameters: [&dyn ToSql; 1] = [&text.as_str()];
    let rows = soon(client.query("SELECT @P1", &parameters)).await.expect("an answer");
    let rows: Vec<_> = soon(rows.into_row_stream().try_collect()).await.expect("rows");
    assert_eq!(rows[0].get::<&str, _>(0), Some(text.as_str()));
}
