use super::{Guest, setup};
use crate::config::Sandbox;
use crate::plugin::load::LoadError;
use crate::plugin::{
    BoxFuture, CallError, Code, ConnectorInstance, OffsetLookup, Setup, SinkInstance, SourceInstance,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const WAIT: Duration = Duration::from_millis(1);
/// What a poll may answer.
const MOST: usize = 1 << 20;
const FOREVER: &str = "(loop $l (br $l)) (unreachable)";

async fn source(guest: &Guest) -> SourceInstance {
    source_with(guest, setup(Sandbox::default())).await
}

async fn source_with(guest: &Guest, setup: Setup) -> SourceInstance {
    let plugin = guest.load(Sandbox::default()).unwrap();
    SourceInstance::new(&plugin, setup).await.unwrap()
}

fn hasty() -> Sandbox {
    Sandbox { call_timeout: Duration::from_millis(50), ..Sandbox::default() }
}

fn trap(error: CallError) -> String {
    match error {
        CallError::Trap { message, .. } => message,
        other => panic!("no trap: {other}"),
    }
}

#[tokio::test]
async fn a_source_is_called_in_its_order() {
    let mut source = source(&Guest::source("good")).await;
    source.open("{}").await.unwrap();
    assert_eq!(source.poll(10, 1000, WAIT, MOST).await.unwrap(), b"");
    source.commit("[]").await.unwrap();
    source.close().await.unwrap();
    assert!(!source.is_dead());
    assert_eq!(source.memory(), 2 << 16);
}

#[tokio::test]
async fn a_batch_comes_up_as_it_is() {
    let guest = Guest::source("records").text("abcdef").does(
        "poll",
        "(i32.store (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const 8193))
         (i32.store (i32.const 40) (i32.const 3)) (i32.const 32)",
    );
    let mut source = source(&guest).await;
    assert_eq!(source.poll(10, 1000, WAIT, MOST).await.unwrap(), b"bcd");
}

#[tokio::test]
async fn an_error_of_the_guest_says_what_to_do_and_leaves_it_alive() {
    let guest = Guest::source("failing").text("not now").does(
        "open",
        "(i32.store8 (i32.const 32) (i32.const 1)) (i32.store (i32.const 36) (i32.const 1))
         (i32.store (i32.const 40) (i32.const 8192)) (i32.store (i32.const 44) (i32.const 7))
         (i32.store (i32.const 48) (i32.const 250)) (i32.const 32)",
    );
    let mut source = source(&guest).await;
    let error = source.open("{}").await.unwrap_err();
    assert_eq!(error.retriable(), Some(Some(Duration::from_millis(250))));
    assert_eq!(error.to_string(), "open: not now");
    assert!(matches!(error, CallError::Guest { code: Code::Retriable, .. }));
    assert!(!source.is_dead());
}

#[tokio::test]
async fn a_trap_tells_the_guests_last_words_and_kills_only_its_instance() {
    let guest = Guest::source("panics")
        .text("panicked at 'no'")
        .does("poll", "(call $log (i32.const 1) (i32.const 8192) (i32.const 16)) (unreachable)");
    let plugin = guest.load(Sandbox::default()).unwrap();
    let mut one = SourceInstance::new(&plugin, setup(Sandbox::default())).await.unwrap();
    let mut other = SourceInstance::new(&plugin, setup(Sandbox::default())).await.unwrap();
    let error = one.poll(1, 1, WAIT, MOST).await.unwrap_err();
    let CallError::Trap { message, backtrace, .. } = error else { panic!("no trap: {error}") };
    assert_eq!(
        message,
        "wasm trap: wasm `unreachable` instruction executed; the guest said: panicked at 'no'"
    );
    assert!(backtrace.contains("wasm"), "{backtrace}");
    assert!(one.is_dead());
    assert!(matches!(one.poll(1, 1, WAIT, MOST).await, Err(CallError::Dead { .. })));
    other.open("{}").await.unwrap();
}

#[tokio::test]
async fn a_guest_that_wants_too_much_memory_is_told_so() {
    let guest = Guest::source("hungry").does(
        "open",
        "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)",
    );
    let sandbox = Sandbox { memory_max: 4 << 20, ..Sandbox::default() };
    let setup = setup(sandbox);
    let mut source = source_with(&guest, setup.clone()).await;
    let message = trap(source.open("{}").await.unwrap_err());
    assert!(message.contains("`sandbox.hungry.memory.max`"), "{message}");
    assert!(setup.meters.memory() <= 4 << 20 && setup.meters.memory() > 3 << 20);
}

#[tokio::test]
async fn recursion_without_end_is_a_trap() {
    let guest = Guest::source("deep").does("open", "(call $recurse) (unreachable)");
    let mut source = source(&guest).await;
    assert!(trap(source.open("{}").await.unwrap_err()).contains("call stack exhausted"));
}

#[tokio::test]
async fn a_loop_ends_at_its_deadline_and_lets_its_neighbours_run() {
    let looping = Guest::source("looping").does("poll", FOREVER);
    let setup = setup(hasty());
    let mut looping = source_with(&looping, setup.clone()).await;
    let mut good = source(&Guest::source("neighbour")).await;
    // Both on this one thread: the loop has to give way for the other to get anywhere.
    let (late, ()) = tokio::join!(looping.poll(1, 1, WAIT, MOST), async {
        for _ in 0..3 {
            good.open("{}").await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let error = late.unwrap_err();
    assert!(matches!(error, CallError::Deadline { call: "poll", .. }), "{error}");
    assert!(error.to_string().contains("`sandbox.looping.call.timeout.ms`"), "{error}");
    assert!(looping.is_dead() && !good.is_dead());
    assert!(setup.meters.busy() > Duration::from_millis(10));
}

#[tokio::test]
async fn a_guest_gets_its_share_of_the_processor_and_no_more() {
    let guest = Guest::source("greedy").does("poll", FOREVER);
    let sandbox = Sandbox { cpu_max_permille: Some(50), call_timeout: Duration::from_millis(300), ..hasty() };
    let setup = setup(sandbox);
    let mut greedy = source_with(&guest, setup.clone()).await;
    let error = greedy.poll(1, 1, WAIT, MOST).await.unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, CallError::Deadline { held, .. } if held == setup.meters.held()), "{told}");
    assert!(told.contains("ms of which `sandbox.greedy.cpu.max` held it back"), "{told}");
    // How much it is follows from what the thread's clock counts, not from how busy the machine is: see `cpu`.
    assert!(setup.meters.held() > Duration::ZERO, "{:?}", setup.meters);
}

#[tokio::test]
async fn a_dropped_call_leaves_a_dead_instance() {
    let guest = Guest::source("dropped").does("poll", FOREVER);
    let mut source = source(&guest).await;
    {
        let call = source.poll(1, 1, Duration::ZERO, MOST);
        tokio::select! {
            biased;
            _ = call => panic!("it never ends"),
            () = std::future::ready(()) => {}
        }
    }
    assert!(source.is_dead());
}

#[tokio::test]
async fn a_loop_at_instantiation_ends_at_its_deadline() {
    let guest = Guest::source("slow-start").does("instantiate", "(loop $l (br $l))");
    let error = guest.load(hasty()).unwrap_err();
    assert!(matches!(error, LoadError::Describe(CallError::Deadline { .. })), "{error}");
}

#[tokio::test]
async fn more_than_was_asked_for_is_refused() {
    let answer = |bytes: usize| {
        let pages = bytes / 65536 + 1;
        let body = format!(
            "(drop (memory.grow (i32.const {pages}))) (i32.store (i32.const 36) (i32.const 65536))
             (i32.store (i32.const 40) (i32.const {bytes})) (i32.const 32)"
        );
        Guest::source("generous").does("poll", &body)
    };
    let mut slightly = source(&answer(2 << 20)).await;
    assert!(matches!(slightly.poll(1, 1000, WAIT, MOST).await, Err(CallError::Answer { .. })));
    let mut vastly = source(&answer(64 << 20)).await;
    let message = trap(vastly.poll(1, 1000, WAIT, MOST).await.unwrap_err());
    assert!(message.contains("fuel"), "{message}");
}

#[tokio::test]
async fn a_list_that_is_not_there_is_a_trap() {
    let guest = Guest::source("lying").does(
        "poll",
        "(i32.store (i32.const 36) (i32.const 65536)) (i32.store (i32.const 40) (i32.const 1000000)) (i32.const 32)",
    );
    let mut source = source(&guest).await;
    trap(source.poll(1, 1 << 20, WAIT, MOST).await.unwrap_err());
}

#[tokio::test]
async fn what_the_host_offers_arrives() {
    let guest = Guest::source("talkative").text("rows").does(
        "open",
        "(call $log (i32.const 3) (i32.const 8192) (i32.const 4))
         (call $metric (i32.const 8192) (i32.const 4) (f64.const 2))
         (call $secret (i32.const 8192) (i32.const 4) (i32.const 32))
         (call $reconfigure)
         (if (call $should-stop) (then (unreachable)))
         (i32.const 256)",
    );
    let setup = setup(Sandbox::default());
    let mut source = source_with(&guest, setup.clone()).await;
    source.open("{}").await.unwrap();
    assert_eq!(setup.meters.named(), [("rows".to_owned(), 2.0)]);
    assert_eq!(setup.meters.refusals(), 1);
    assert!(setup.reconfigure.load(Ordering::Relaxed));
    setup.should_stop.store(true, Ordering::Relaxed);
    trap(source.open("{}").await.unwrap_err());
}

#[tokio::test]
async fn offsets_are_looked_up_where_the_task_says() {
    struct Two;
    impl OffsetLookup for Two {
        fn offsets<'a>(&'a self, partitions: &'a str) -> BoxFuture<'a, Result<String, String>> {
            Box::pin(async move {
                tokio::task::yield_now().await;
                Ok(format!("{partitions}+"))
            })
        }
    }
    let guest = Guest::source("resuming").text("[]").does(
        "poll",
        // The result is laid out as poll's own: a string is a list of bytes.
        "(call $offsets (i32.const 8192) (i32.const 2) (i32.const 32)) (i32.const 32)",
    );
    let setup = Setup { offsets: Some(Arc::new(Two)), ..setup(Sandbox::default()) };
    let mut source = source_with(&guest, setup).await;
    assert_eq!(source.poll(1, 1000, WAIT, MOST).await.unwrap(), b"[]+");
}

#[tokio::test]
async fn a_sink_takes_batches_and_asks_for_things() {
    let guest = Guest::sink("sink").text(r#"[{"topic":"t","partition":0,"offset":7}]"#).does(
        "assign",
        "(call $seek (i32.const 8192) (i32.const 40) (i32.const 64)) (call $request-commit)
         (if (i32.load8_u (i32.const 64)) (then (unreachable))) (i32.const 256)",
    );
    let plugin = guest.load(Sandbox::default()).unwrap();
    let mut sink = SinkInstance::new(&plugin, setup(Sandbox::default())).await.unwrap();
    sink.open("{}").await.unwrap();
    sink.set_assigned([("t".to_owned(), 0)].into());
    sink.assign("[]").await.unwrap();
    let requests = sink.take_requests();
    assert!(requests.commit && requests.seeks == [(("t".to_owned(), 0), 7)].into());
    assert_eq!(sink.put(b"batch").await.unwrap(), b"");
    let wrong = SourceInstance::new(&plugin, setup(Sandbox::default())).await.unwrap_err();
    assert!(matches!(wrong, CallError::WrongKind { wanted: "source", .. }));
}

#[tokio::test]
async fn a_connectors_plan_is_handed_on_whole() {
    let guest = Guest::source("planner").does(
        "task-configs",
        "(i32.store (i32.const 36) (i32.const 512)) (i32.store (i32.const 40) (i32.const 3)) (i32.const 32)",
    );
    let plugin = guest.load(Sandbox::default()).unwrap();
    let mut connector = ConnectorInstance::new(&plugin, setup(Sandbox::default())).await.unwrap();
    connector.start("{}").await.unwrap();
    // Whether it is too much is judged by who asked.
    assert_eq!(connector.task_configs(2).await.unwrap(), ["", "", ""]);
    assert_eq!(connector.validate("{}").await.unwrap(), "");
    connector.stop().await.unwrap();
}
