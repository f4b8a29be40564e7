import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorOp;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;

/** Curator's recipes against the server at args[0]; args[1] is the part. Exits with 0 when everything was as it should be. */
public class Recipes {
    static final int WAIT_SECONDS = 30;

    static String hosts;

    public static void main(String[] args) throws Exception {
        hosts = args[0];
        switch (args[1]) {
            case "leader_latch": leaderLatch(); break;
            case "cache": cache(); break;
            case "service_discovery": serviceDiscovery(); break;
            case "transactions": transactions(); break;
            case "reconnect": reconnect(); break;
            default: throw new IllegalArgumentException(args[1]);
        }
        System.out.println(args[1] + ": as it should be");
        System.exit(0);
    }

    /** Exactly one leads, who goes is followed by another, and a session that ends makes way. */
    static void leaderLatch() throws Exception {
        List<CuratorFramework> clients = new ArrayList<>();
        List<LeaderLatch> latches = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            CuratorFramework client = client();
            LeaderLatch latch = new LeaderLatch(client, "/latch", "latch-" + i);
            latch.start();
            clients.add(client);
            latches.add(latch);
        }
        List<String> led = new ArrayList<>();
        while (!latches.isEmpty()) {
            until("one leads", () -> leaders(latches).size() == 1);
            LeaderLatch leader = leaders(latches).get(0);
            int at = latches.indexOf(leader);
            until("they agree", () -> latches.get(0).getLeader().getId().equals(leader.getId()));
            check(latches.get(0).getParticipants().size() == latches.size(), "all of them stand");
            led.add(leader.getId());
            if (led.size() == 1) {
                leader.close();
                clients.get(at).close();
            } else {
                clients.get(at).close();
            }
            latches.remove(at);
            clients.remove(at);
        }
        Collections.sort(led);
        check(led.equals(List.of("latch-0", "latch-1", "latch-2")), "each led once: " + led);
    }

    static List<LeaderLatch> leaders(List<LeaderLatch> latches) {
        List<LeaderLatch> leaders = new ArrayList<>();
        latches.stream().filter(LeaderLatch::hasLeadership).forEach(leaders::add);
        return leaders;
    }

    /** A cache is what is there, whatever happens to its connection. */
    static void cache() throws Exception {
        CuratorFramework client = client();
        CuratorFramework other = client();
        other.create().creatingParentsIfNeeded().forPath("/cached/a", bytes("1"));
        List<String> events = new CopyOnWriteArrayList<>();
        CuratorCache cache = CuratorCache.build(client, "/cached");
        cache.listenable().addListener((type, before, after) ->
                events.add(type + " " + (after != null ? after : before).getPath()));
        cache.start();
        until("the first content", () -> "1".equals(content(cache, "/cached/a")));
        other.create().creatingParentContainersIfNeeded().forPath("/cached/b/c", bytes("2"));
        other.setData().forPath("/cached/a", bytes("3"));
        until("the changes", () -> "2".equals(content(cache, "/cached/b/c")) && "3".equals(content(cache, "/cached/a")));
        // The cache has it a moment before its listeners hear of it.
        until("a change is told", () -> events.contains("NODE_CHANGED /cached/a"));
        breakConnection(client);
        other.setData().forPath("/cached/a", bytes("4"));
        other.delete().forPath("/cached/b/c");
        until("what was missed", () ->
                "4".equals(content(cache, "/cached/a")) && content(cache, "/cached/b/c") == null);
        other.delete().deletingChildrenIfNeeded().forPath("/cached");
        until("the end", () -> cache.size() == 0);
        cache.close();
        client.close();
        other.close();
    }

    static String content(CuratorCache cache, String path) {
        Optional<ChildData> data = cache.get(path);
        return data.map(found -> new String(found.getData())).orElse(null);
    }

    /** Instances are found, and go with their session. */
    static void serviceDiscovery() throws Exception {
        CuratorFramework client = client();
        List<CuratorFramework> hostsOfService = new ArrayList<>();
        ServiceDiscovery<Void> lookup = discovery(client, null);
        ServiceCache<Void> cache = lookup.serviceCacheBuilder().name("pot").build();
        cache.start();
        ServiceProvider<Void> provider = lookup.serviceProviderBuilder().serviceName("pot").build();
        provider.start();
        for (int port = 1; port <= 3; port++) {
            CuratorFramework host = client();
            ServiceInstance<Void> instance =
                    ServiceInstance.<Void>builder().name("pot").address("127.0.0.1").port(port).build();
            discovery(host, instance);
            hostsOfService.add(host);
        }
        until("all are cached", () -> cache.getInstances().size() == 3);
        check(lookup.queryForInstances("pot").size() == 3, "all are found");
        check(lookup.queryForNames().contains("pot"), "the service has a name");
        until("one is provided", () -> provider.getInstance() != null);
        hostsOfService.get(0).close();
        until("one went with its session", () -> cache.getInstances().size() == 2);
        breakConnection(hostsOfService.get(1));
        until("it comes back", () -> lookup.queryForInstances("pot").size() == 2);
        provider.close();
        lookup.close();
        client.close();
    }

    static ServiceDiscovery<Void> discovery(CuratorFramework client, ServiceInstance<Void> instance) throws Exception {
        ServiceDiscovery<Void> discovery = ServiceDiscoveryBuilder.builder(Void.class)
                .client(client).basePath("/services").thisInstance(instance).build();
        discovery.start();
        return discovery;
    }

    /** All or nothing, each part with its result. */
    static void transactions() throws Exception {
        CuratorFramework client = client();
        client.create().forPath("/t", bytes("x"));
        List<CuratorTransactionResult> results = client.transaction().forOperations(
                client.transactionOp().create().forPath("/t/a", bytes("1")),
                client.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath("/t/s-"),
                client.transactionOp().create().withMode(CreateMode.CONTAINER).forPath("/t/c"),
                client.transactionOp().setData().withVersion(0).forPath("/t", bytes("y")),
                client.transactionOp().check().withVersion(1).forPath("/t"),
                client.transactionOp().delete().forPath("/t/a"));
        check(results.get(0).getResultPath().equals("/t/a"), "the path");
        check(results.get(1).getResultPath().equals("/t/s-0000000001"), "the number: " + results.get(1).getResultPath());
        check(results.get(3).getResultStat().getVersion() == 1, "the stat");
        check(results.stream().allMatch(result -> result.getError() == 0), "no errors");
        try {
            CuratorOp good = client.transactionOp().create().forPath("/t/b");
            CuratorOp bad = client.transactionOp().check().withVersion(7).forPath("/t");
            client.transaction().forOperations(good, bad);
            throw new AssertionError("it was done");
        } catch (KeeperException.BadVersionException refused) {
            List<Integer> codes = new ArrayList<>();
            refused.getResults().forEach(result -> codes.add(((org.apache.zookeeper.OpResult.ErrorResult) result).getErr()));
            check(codes.equals(List.of(0, -103)), "the results: " + codes);
        }
        check(client.checkExists().forPath("/t/b") == null, "nothing was done");
        Stat stat = new Stat();
        String path = client.create().storingStatIn(stat).withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/t/e-");
        check(stat.getEphemeralOwner() == client.getZookeeperClient().getZooKeeper().getSessionId(), "the owner of " + path);
        client.close();
    }

    /** A session outlives its connection, and a new one begins when it ends. */
    static void reconnect() throws Exception {
        CuratorFramework client = client();
        CuratorFramework other = client();
        BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();
        client.getConnectionStateListenable().addListener((source, state) -> states.add(state));
        InterProcessMutex mutex = new InterProcessMutex(client, "/mutex");
        mutex.acquire();
        PersistentNode node = new PersistentNode(client, CreateMode.EPHEMERAL, false, "/node", bytes("here"));
        node.start();
        check(node.waitForInitialCreate(WAIT_SECONDS, TimeUnit.SECONDS), "the node");
        long session = client.getZookeeperClient().getZooKeeper().getSessionId();
        breakConnection(client);
        expect(states, ConnectionState.SUSPENDED);
        expect(states, ConnectionState.RECONNECTED);
        check(client.getZookeeperClient().getZooKeeper().getSessionId() == session, "the same session");
        check(!new InterProcessMutex(other, "/mutex").acquire(100, TimeUnit.MILLISECONDS), "the lock is held");
        mutex.release();
        check(new InterProcessMutex(other, "/mutex").acquire(WAIT_SECONDS, TimeUnit.SECONDS), "the lock is free");
        // Somebody with the session's name and password ends it.
        byte[] password = client.getZookeeperClient().getZooKeeper().getSessionPasswd();
        org.apache.zookeeper.ZooKeeper thief =
                new org.apache.zookeeper.ZooKeeper(hosts, 4_000, event -> { }, session, password);
        // Closed before it is connected, it would go without a word.
        until("the session is taken over", () -> thief.getState().isConnected());
        thief.close(WAIT_SECONDS * 1_000);
        expect(states, ConnectionState.LOST);
        expect(states, ConnectionState.RECONNECTED);
        until("the node is made again", () -> {
            Stat stat = other.checkExists().forPath("/node");
            return stat != null && stat.getEphemeralOwner() == client.getZookeeperClient().getZooKeeper().getSessionId();
        });
        check(client.getZookeeperClient().getZooKeeper().getSessionId() != session, "another session");
        client.close();
        other.close();
    }

    /** Takes states until the wanted one comes; which others come before it depends on who is faster. */
    static void expect(BlockingQueue<ConnectionState> states, ConnectionState wanted) throws Exception {
        ConnectionState state;
        do {
            state = states.poll(WAIT_SECONDS, TimeUnit.SECONDS);
            check(state != null, "not in time: " + wanted);
        } while (state != wanted);
    }

    static CuratorFramework client() throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(hosts, 4_000, 10_000, new RetryNTimes(50, 100));
        client.start();
        check(client.blockUntilConnected(WAIT_SECONDS, TimeUnit.SECONDS), "a connection");
        return client;
    }

    static void breakConnection(CuratorFramework client) throws Exception {
        // The client's own hook for tests, which is public in its implementation only.
        Object zooKeeper = client.getZookeeperClient().getZooKeeper();
        java.lang.reflect.Field field = org.apache.zookeeper.ZooKeeper.class.getDeclaredField("cnxn");
        field.setAccessible(true);
        Object connection = field.get(zooKeeper);
        java.lang.reflect.Field thread = connection.getClass().getDeclaredField("sendThread");
        thread.setAccessible(true);
        java.lang.reflect.Method hook = thread.get(connection).getClass().getDeclaredMethod("testableCloseSocket");
        hook.setAccessible(true);
        hook.invoke(thread.get(connection));
    }

    static void until(String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
        while (!condition.call()) {
            check(System.nanoTime() < deadline, "not in time: " + what);
            Thread.sleep(10);
        }
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static byte[] bytes(String text) {
        return text.getBytes();
    }
}
