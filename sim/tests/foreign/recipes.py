"""kazoo's recipes against the server at argv[1]; argv[2] is the part. Exits with 0 when everything was as it should be."""

import logging
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    BadVersionError,
    ConnectionClosedError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
)
from kazoo.recipe.watchers import ChildrenWatch, DataWatch
from kazoo.security import CREATOR_ALL_ACL

WAIT = 20  # seconds


def client(hosts, **options):
    made = KazooClient(hosts=hosts, timeout=4, **options)
    made.start(timeout=WAIT)
    return made


def until(what, condition):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT} s: {what}"
        time.sleep(0.01)


def election(hosts):
    """Who leads is followed by who stood next, and nobody leads beside another."""
    leaders, together, most = [], [0], [0]
    guard = threading.Lock()

    def lead(name, goes_on):
        with guard:
            together[0] += 1
            most[0] = max(most[0], together[0])
            leaders.append(name)
        assert goes_on.wait(WAIT)
        with guard:
            together[0] -= 1

    def stand(zk, name, goes_on):
        try:
            zk.Election("/election", name).run(lead, name, goes_on)
        except ConnectionClosedError:
            assert name == "b", "only that one's client is stopped while it leads"

    stands = []
    for name in "abc":
        zk, goes_on = client(hosts), threading.Event()
        thread = threading.Thread(target=stand, args=(zk, name, goes_on), daemon=True)
        thread.start()
        until(f"{name} stands", lambda: name in zk.Election("/election").contenders())
        stands.append((zk, goes_on, thread))
    until("a leads", lambda: leaders == ["a"])
    assert stands[0][0].Election("/election").contenders() == ["a", "b", "c"]
    stands[0][1].set()
    until("b leads", lambda: leaders == ["a", "b"])
    # A session that ends makes way, too.
    stands[1][0].stop()
    until("c leads", lambda: leaders == ["a", "b", "c"])
    for zk, goes_on, thread in stands:
        goes_on.set()
        thread.join(WAIT)
        zk.stop()
    assert most[0] <= 2, "the one that lost its session may go on for a while, and no other"


def lock(hosts):
    """Three who count under a lock lose nothing; readers share."""
    zk = client(hosts)
    zk.create("/count", b"0")

    def count(mine):
        for _ in range(10):
            with mine.Lock("/lock"):
                value, _ = mine.get("/count")
                mine.set("/count", str(int(value) + 1).encode())

    clients = [client(hosts) for _ in range(3)]
    threads = [threading.Thread(target=count, args=(mine,), daemon=True) for mine in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert zk.get("/count")[0] == b"30", zk.get("/count")
    held = clients[0].Lock("/lock")
    assert held.acquire()
    assert not clients[1].Lock("/lock").acquire(blocking=False)
    held.release()
    readers = [mine.ReadLock("/shared") for mine in clients[:2]]
    assert all(reader.acquire(timeout=WAIT) for reader in readers)
    writer = clients[2].WriteLock("/shared")
    assert not writer.acquire(blocking=False)
    for reader in readers:
        reader.release()
    assert writer.acquire(timeout=WAIT)
    semaphore = [mine.Semaphore("/semaphore", max_leases=2) for mine in clients]
    assert semaphore[0].acquire() and semaphore[1].acquire()
    assert not semaphore[2].acquire(blocking=False)
    for mine in clients:
        mine.stop()
    zk.stop()


def party(hosts):
    """Members come, leave, and go with their sessions."""
    clients = [client(hosts) for _ in range(3)]
    parties = [zk.Party("/party", name) for zk, name in zip(clients, "abc")]
    for one in parties:
        one.join()
    assert sorted(parties[0]) == ["a", "b", "c"] and len(parties[0]) == 3
    parties[1].leave()
    assert sorted(parties[0]) == ["a", "c"]
    clients[2].stop()
    assert sorted(parties[0]) == ["a"]
    shallow = clients[1].ShallowParty("/shallow", "b")
    shallow.join()
    assert list(clients[0].ShallowParty("/shallow")) == ["b"]
    for zk in clients[:2]:
        zk.stop()


def watches(hosts):
    """Watches tell each change, and go on after a lost connection."""
    zk, other = client(hosts), client(hosts)
    children, data = [], []
    zk.ensure_path("/watched")
    ChildrenWatch(zk, "/watched", lambda names: children.append(sorted(names)))
    DataWatch(zk, "/watched/a", lambda value, stat: data.append((value, stat and stat.version)))
    until("both told at once", lambda: children == [[]] and data == [(None, None)])
    other.create("/watched/a", b"1")
    until("the child", lambda: children[-1] == ["a"] and data[-1] == (b"1", 0))
    other.set("/watched/a", b"2")
    until("the data", lambda: data[-1] == (b"2", 1))
    break_connection(zk)
    other.set("/watched/a", b"3")
    other.create("/watched/b", b"")
    until("what was missed", lambda: data[-1] == (b"3", 2) and children[-1] == ["a", "b"])
    other.delete("/watched/a")
    until("the end", lambda: data[-1] == (None, None) and children[-1] == ["b"])
    zk.stop()
    other.stop()


def transactions(hosts):
    """All or nothing, each part with its result."""
    zk = client(hosts)
    zk.create("/t", b"x")
    transaction = zk.transaction()
    transaction.create("/t/a", b"1")
    transaction.create("/t/s-", b"", ephemeral=True, sequence=True)
    transaction.set_data("/t", b"y")
    transaction.check("/t", version=1)
    transaction.delete("/t/a", version=0)
    results = transaction.commit()
    assert results[:2] == ["/t/a", "/t/s-0000000001"], results
    assert results[2].version == 1 and results[3:] == [True, True], results
    transaction = zk.transaction()
    transaction.create("/t/b")
    transaction.check("/t", version=7)
    transaction.delete("/t")
    results = transaction.commit()
    assert [type(result) for result in results][:2] == [RolledBackError, BadVersionError], results
    assert not zk.exists("/t/b") and zk.get("/t")[0] == b"y"
    for error, act in [
        (NodeExistsError, lambda: zk.create("/t")),
        (NoNodeError, lambda: zk.get("/none")),
        (NotEmptyError, lambda: zk.delete("/t")),
        (BadVersionError, lambda: zk.set("/t", b"", version=9)),
    ]:
        try:
            act()
        except error:
            continue
        raise AssertionError(f"no {error}")
    assert zk.server_version() >= (3, 8)
    zk.stop()


def reconnect(hosts):
    """A session outlives its connection, with its ephemerals and credentials; and it ends."""
    states = []
    # Since 3.9 also `exists` asks whether one may read.
    zk, other = (client(hosts, auth_data=[("digest", "me:secret")]) for _ in range(2))
    zk.add_listener(states.append)
    session = zk.client_id
    zk.create("/mine", b"x", ephemeral=True, acl=CREATOR_ALL_ACL)
    for _ in range(3):
        break_connection(zk)
        until("connected again", lambda: states[-1:] == [KazooState.CONNECTED])
        states.clear()
        assert zk.retry(zk.get, "/mine")[0] == b"x"
    assert zk.client_id == session, "another session"
    assert other.exists("/mine").ephemeralOwner == session[0]
    # Somebody else with the session's name and password takes it over and ends it.
    thief = KazooClient(hosts=hosts, timeout=4, client_id=session)
    thief.start(timeout=WAIT)
    thief.stop()
    until("the end of the session", lambda: KazooState.LOST in states)
    assert not other.exists("/mine")
    until("a new session", lambda: states[-1] == KazooState.CONNECTED and zk.client_id != session)
    zk.stop()
    other.stop()


def break_connection(zk):
    zk._connection._socket.shutdown(2)


PARTS = [election, lock, party, watches, transactions, reconnect]

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    hosts, wanted = sys.argv[1:]
    parts = {part.__name__: part for part in PARTS}
    parts[wanted](hosts)
    print(f"{wanted}: as it should be")
