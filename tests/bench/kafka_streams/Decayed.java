import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * One Kafka Streams thread that keeps a decayed sum and a count of each customer, exactly once: a far smaller job
 * than the worker's, in a table in memory with its changelog.
 *
 * <p>Arguments: BOOTSTRAP APP_ID RECORDS FOLDER TOPIC... Prints as JSON what all of the records took, and what the
 * second half of them took, when the JVM had compiled the program.
 */
public final class Decayed {
    private static final double HALF_LIFE_S = 30 * 86_400;
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final CountDownLatch DONE = new CountDownLatch(1);
    private static long records;
    private static long applied;
    private static long begunCpuNs;
    private static long begunNs;
    private static long halfCpuNs;
    private static long halfNs;
    private static String figures;

    private static long cpuNs() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private static long residentBytes() {
        try {
            return 4096 * Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    private static void count() {
        applied++;
        if (applied == 1) {
            begunCpuNs = cpuNs();
            begunNs = System.nanoTime();
        } else if (applied == records / 2) {
            halfCpuNs = cpuNs();
            halfNs = System.nanoTime();
        } else if (applied == records) {
            figures = "[" + run(records, begunCpuNs, begunNs) + ", " + run(records - records / 2, halfCpuNs, halfNs) + "]";
            DONE.countDown();
        }
    }

    private static String run(long count, long sinceCpuNs, long sinceNs) {
        return String.format(
                "{\"records\": %d, \"cpu_s\": %.3f, \"wall_s\": %.3f, \"rss_bytes\": %d}",
                count, (cpuNs() - sinceCpuNs) / 1e9, (System.nanoTime() - sinceNs) / 1e9, residentBytes());
    }

    private static double faded(double seconds) {
        return Math.pow(0.5, seconds / HALF_LIFE_S);
    }

    private static final class Sum implements Processor<byte[], byte[], Void, Void> {
        private KeyValueStore<byte[], byte[]> rows;

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            rows = context.getStateStore("rows");
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            JsonNode event;
            try {
                event = JSON.readTree(record.value());
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
            double at = OffsetDateTime.parse(event.get("time").asText()).toEpochSecond();
            double weight = event.get("type").asText().length();
            byte[] row = rows.get(record.key());
            double sum = 0;
            double last = at;
            long events = 0;
            if (row != null) {
                ByteBuffer found = ByteBuffer.wrap(row);
                sum = found.getDouble();
                last = found.getDouble();
                events = found.getLong();
            }
            double newest = Math.max(last, at);
            sum = sum * faded(newest - last) + weight * faded(newest - at);
            rows.put(
                    record.key(),
                    ByteBuffer.allocate(24).putDouble(sum).putDouble(newest).putLong(events + 1).array());
            count();
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        records = Long.parseLong(arguments[2]);
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[3]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put("auto.offset.reset", "earliest");
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(
                Stores.keyValueStoreBuilder(
                                Stores.inMemoryKeyValueStore("rows"), Serdes.ByteArray(), Serdes.ByteArray())
                        .withCachingEnabled());
        List<String> topics = List.of(arguments).subList(4, arguments.length);
        builder.stream(topics, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray())).process(Sum::new, "rows");
        new KafkaStreams(builder.build(), settings).start();
        DONE.await();
        System.out.println(figures);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
