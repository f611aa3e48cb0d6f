package peer;

import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.Stores;

/**
 * The three rules on Kafka Streams, exactly once.
 *
 * <p>peer.Peer BOOTSTRAP EVENTS-TOPIC ALERTS-TOPIC APPLICATION STATE-DIR THREADS CACHE-BYTES; ends by SIGTERM, and says on
 * standard output how many events it has taken in.
 */
public final class Peer {
    private static final Duration STOPS_WITHIN = Duration.ofSeconds(30);
    private static final int TELL_EVERY_MS = 100;

    private Peer() {}

    public static void main(String[] arguments) throws InterruptedException {
        KafkaStreams streams = new KafkaStreams(topology(arguments[1], arguments[2]), settings(arguments));
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        CountDownLatch stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(STOPS_WITHIN);
            stopped.countDown();
        }));
        streams.start();
        long told = -1;
        while (stopped.getCount() > 0) {
            long taken = Judge.TAKEN.sum();
            if (taken != told) {
                System.out.println(taken);
                told = taken;
            }
            Thread.sleep(TELL_EVERY_MS);
        }
    }

    private static Topology topology(String events, String alerts) {
        Topology topology = new Topology();
        topology.addSource("events", Serdes.String().deserializer(), Event.DESERIALIZER, events);
        topology.addProcessor("judge", Judge::new, "events");
        topology.addStateStore(
                Stores.keyValueStoreBuilder(
                                Stores.persistentKeyValueStore(Judge.CUSTOMERS), Serdes.String(), Customer.SERDE)
                        .withCachingEnabled(),
                "judge");
        topology.addStateStore(
                Stores.keyValueStoreBuilder(
                                Stores.persistentKeyValueStore(Judge.TIMERS), Serdes.Bytes(), Serdes.ByteArray())
                        .withCachingEnabled(),
                "judge");
        topology.addSink("alerts", alerts, Serdes.String().serializer(), Alert.SERIALIZER, "judge");
        return topology;
    }

    private static Properties settings(String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[3]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments[5]);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, arguments[6]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        // Also the default under exactly-once; here as Tocsin's commit.interval is as long.
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.DEFAULT_TIMESTAMP_EXTRACTOR_CLASS_CONFIG, Event.Time.class);
        settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, TunedRocksDb.class);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        settings.put(StreamsConfig.METRICS_RECORDING_LEVEL_CONFIG, "INFO");
        return settings;
    }
}
