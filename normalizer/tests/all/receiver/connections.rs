//! Connections that are silent, slow, over the limit, or in use when the receiver stops.

use std::net::SocketAddr;

use prost::Message as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::support::{
    CONNECTIONS_MAX, LIMITS, QUEUE, TRACES, frame, good_span, grpc, receiver, trace_request,
};

/// A connection on which a request's header was sent and the receiver waits for its body.
async fn asked_for_body(address: SocketAddr, body_len: usize) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\nexpect: 100-continue\r\n\
         connection: close\r\ncontent-length: {body_len}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn next_line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_progress_is_answered_while_the_receiver_stops() {
    let running = receiver(QUEUE).await;
    let message = trace_request(vec![good_span(0)]).encode_to_vec();
    let mut stream = asked_for_body(running.address, message.len()).await;
    assert_eq!(next_line(&mut stream).await, "HTTP/1.1 100 Continue\r\n");
    running.stop.send_replace(true);
    // If the listener is closed, the receiver has begun its shutdown.
    while TcpStream::connect(running.address).await.is_ok() {}
    stream.write_all(&message).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("HTTP/1.1 200 "), "{answer}");
    assert_eq!(running.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_first_need_not_send_what_is_too_large() {
    let running = receiver(QUEUE).await;
    let mut stream = asked_for_body(running.address, LIMITS.message_bytes_max + 1).await;
    assert_eq!(next_line(&mut stream).await, "HTTP/1.1 413 Payload Too Large\r\n");
}

async fn silent(address: SocketAddr, connections: usize) -> Vec<TcpStream> {
    let mut silent = Vec::new();
    for started in 0..connections {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Some connections have sent a part of the HTTP/2 preface.
        stream
            .write_all(&b"PRI * HTTP/2.0\r\n\r\nSM"[..started % 20])
            .await
            .unwrap();
        silent.push(stream);
    }
    silent
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_delay_no_other() {
    let running = receiver(QUEUE).await;
    let _silent = silent(running.address, CONNECTIONS_MAX - 1).await;
    let message = trace_request(vec![good_span(0)]).encode_to_vec();
    let answer = grpc(running.address, TRACES, &[], frame(false, &message)).await;
    assert_eq!(answer.grpc_status(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_over_the_limit_is_closed_at_once() {
    let running = receiver(QUEUE).await;
    let _silent = silent(running.address, CONNECTIONS_MAX).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
}
