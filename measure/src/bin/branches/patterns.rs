//! The patterns. For each route, the code defines which calls wait for which others. The tests compare plans with this code.

use anyhow::ensure;
use tokio::task::JoinSet;
use tokio::try_join;

use crate::request::{InnerSpan, Request};

/// In every third request to `/retry`, a call is repeated.
const RETRIED_EVERY: u64 = 3;

/// Does the work of a route.
pub async fn execute(route: &str, of: Request) -> anyhow::Result<()> {
    match route {
        "/sequence" => sequence(of).await,
        "/fan-out" => fan_out(of).await,
        "/independent" => independent(of).await,
        "/inner-spans" => inner_spans(of).await,
        "/quorum" => quorum(of).await,
        "/after-answer" => after_answer(of).await,
        _ => retry(of).await,
    }
}

async fn sequence(of: Request) -> anyhow::Result<()> {
    of.own("before").await;
    of.call("a").await?;
    of.own("between").await;
    of.call("b").await?;
    of.call("c").await?;
    of.own("after").await;
    Ok(())
}

async fn fan_out(of: Request) -> anyhow::Result<()> {
    of.own("before").await;
    try_join!(of.call("a"), of.call("b"), of.call("c"))?;
    of.own("after").await;
    Ok(())
}

/// Two branches that run at the same time, without spans for the branches.
async fn independent(of: Request) -> anyhow::Result<()> {
    try_join!(two_calls(&of, ["a", "b"]), two_calls(&of, ["c", "d"]))?;
    of.own("after").await;
    Ok(())
}

/// Like [`independent`], but each branch has its own span.
async fn inner_spans(of: Request) -> anyhow::Result<()> {
    try_join!(
        two_calls_of(of.inner_span("first"), ["a", "b"]),
        two_calls_of(of.inner_span("second"), ["c", "d"]),
    )?;
    of.own("after").await;
    Ok(())
}

async fn two_calls_of(span: InnerSpan, calls: [&str; 2]) -> anyhow::Result<()> {
    two_calls(&span.request, calls).await?;
    span.end();
    Ok(())
}

async fn two_calls(of: &Request, [first, second]: [&str; 2]) -> anyhow::Result<()> {
    of.call(first).await?;
    of.own(second).await;
    of.call(second).await?;
    Ok(())
}

/// The request continues after two of three answers. The third call is not cancelled, but nothing waits for it.
async fn quorum(of: Request) -> anyhow::Result<()> {
    let mut calls = JoinSet::new();
    for name in ["a", "b", "c"] {
        let of = of.clone();
        calls.spawn(async move { of.call(name).await });
    }
    for _ in 0..2 {
        if let Some(answer) = calls.join_next().await {
            answer??;
        }
    }
    calls.detach_all();
    of.own("between").await;
    of.short_call("d").await?;
    of.own("after").await;
    Ok(())
}

async fn after_answer(of: Request) -> anyhow::Result<()> {
    of.call("a").await?;
    of.own("between").await;
    tokio::spawn(async move {
        of.own("later").await;
        of.call("b").await
    });
    Ok(())
}

/// In every third request, the first call of `a` fails and is repeated.
async fn retry(of: Request) -> anyhow::Result<()> {
    of.own("before").await;
    let fails = of.number().is_multiple_of(RETRIED_EVERY);
    let mut status = of.attempt("a", 0, fails).await?;
    if fails {
        ensure!(status.is_server_error(), "the first attempt succeeded");
        of.own("between").await;
        status = of.attempt("a", 1, false).await?;
    }
    ensure!(status.is_success(), "a failed");
    of.call("b").await?;
    Ok(())
}
