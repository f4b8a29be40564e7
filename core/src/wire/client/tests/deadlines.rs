//! Deadlines that have not come, and answers that nobody awaits.

use super::*;

/// A moment before the next deadline nothing happens, however often it is asked, and at the deadline what is said here.
fn at_its_deadline(stage: &mut Stage, lines: &[&str]) {
    let at = stage.client.poll_timeout().unwrap();
    let before = at.before(Duration::from_nanos(1));
    for now in [stage.now.min(before), before, before] {
        stage.client.handle_timeout(now);
        assert_eq!(stage.drain(), Vec::<String>::new(), "{now}, and {at} is the deadline");
        assert_eq!(stage.client.poll_timeout(), Some(at));
    }
    stage.now = at;
    stage.client.handle_timeout(at);
    assert_eq!(stage.drain(), lines);
}

#[test]
fn nothing_happens_early() {
    let credentials = vec![Credentials { scheme: "digest".into(), auth: b"a:b".to_vec() }];
    let close_timeout = MILLIS * 100;
    let mut stage = Stage::new(Config { credentials, close_timeout, ..Config::new(1) });
    assert!(!stage.client.is_closed());
    stage.wake();
    at_its_deadline(&mut stage, &["> leave: the server gave no session in time"]);
    at_its_deadline(&mut stage, &["> connect 0: session 0, zxid 0, 8000 ms"]);
    stage.connected(accepted(7));
    at_its_deadline(&mut stage, &["> -2 Ping"]);
    stage.reply(xid::AUTH, 1, Ok(Response::Auth));
    assert!(stage.client.is_up());
    stage.reply(xid::PING, 1, Ok(Response::Ping));
    at_its_deadline(&mut stage, &["> -2 Ping"]);
    assert!(!stage.client.is_closed());
    let start = stage.now;
    stage.client.close(stage.now);
    assert_eq!(stage.drain(), ["> 1 CloseSession"]);
    assert!(!stage.client.is_closed());
    at_its_deadline(&mut stage, &["> leave: the client was closed", "> closed"]);
    assert_eq!(stage.now.since(start), close_timeout);
    assert!(stage.client.is_closed());
}

#[test]
fn only_what_was_sent_is_awaited() {
    let credentials = vec![Credentials { scheme: "digest".into(), auth: b"a:b".to_vec() }];
    let mut stage = Stage::new(Config { credentials, rearms: true, ..Config::new(1) });
    let awaited =
        |stage: &Stage| [xid::PING, xid::AUTH, xid::SET_WATCHES, 1, 2].map(|xid| stage.client.awaited(xid));
    assert_eq!(awaited(&stage), [None; 5]);
    stage.wake();
    stage.connected(accepted(7));
    assert_eq!(awaited(&stage), [None, Some(OpCode::Auth), None, None, None]);
    stage.reply(xid::AUTH, 1, Ok(Response::Auth));
    assert_eq!(awaited(&stage), [None; 5]);
    stage.submit(Op::GetData { path: path("/a"), watch: true });
    stage.submit(delete("/b"));
    assert_eq!(awaited(&stage), [None, None, None, Some(OpCode::GetData), None], "one after the other");
    let data = Response::GetData { data: Some(Vec::new()), stat: stat() };
    assert_eq!(stage.reply(1, 2, Ok(data)), ["= #1 of 1 at 2: ok"]);
    assert_eq!(awaited(&stage), [None, None, None, None, Some(OpCode::Delete)]);
    stage.broken();
    assert_eq!(awaited(&stage), [None; 5]);
    stage.wake();
    stage.connected(accepted(7));
    assert_eq!(awaited(&stage), [None, Some(OpCode::Auth), Some(OpCode::SetWatches2), None, None]);
}
