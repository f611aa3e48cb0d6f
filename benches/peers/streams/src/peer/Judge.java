package peer;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/** Keeps customers in one store and the instants at which they are due in another, which a punctuator goes through. */
public final class Judge implements Processor<String, Event.Timed, String, Alert> {
    public static final String CUSTOMERS = "customers";
    public static final String TIMERS = "timers";
    public static final LongAdder TAKEN = new LongAdder();

    private static final long MAX_OUT_OF_ORDERNESS = 60_000;
    private static final Duration LOOK_EVERY = Duration.ofMillis(100);
    private static final byte[] NOTHING = {0};

    private ProcessorContext<String, Alert> context;
    private KeyValueStore<String, Customer> customers;
    private KeyValueStore<Bytes, byte[]> timers;
    /** The timers before it are gone: a scan does not have to pass what is left of them. */
    private long drained = 0;

    @Override
    public void init(ProcessorContext<String, Alert> context) {
        this.context = context;
        customers = context.getStateStore(CUSTOMERS);
        timers = context.getStateStore(TIMERS);
        context.schedule(LOOK_EVERY, PunctuationType.WALL_CLOCK_TIME, now -> drain());
    }

    @Override
    public void process(Record<String, Event.Timed> record) {
        String id = record.key();
        Customer customer = customers.get(id);
        if (customer == null) {
            customer = new Customer();
        }
        customer.take(record.value().event(), record.value().at(), watermark(), found(id));
        keep(id, customer);
        TAKEN.increment();
    }

    private long watermark() {
        return context.currentStreamTimeMs() - MAX_OUT_OF_ORDERNESS;
    }

    private void drain() {
        long watermark = watermark();
        if (watermark < drained) {
            return;
        }
        try (KeyValueIterator<Bytes, byte[]> due = timers.range(timer(drained, ""), timer(watermark + 1, ""))) {
            while (due.hasNext()) {
                KeyValue<Bytes, byte[]> entry = due.next();
                timers.delete(entry.key);
                byte[] key = entry.key.get();
                long at = ByteBuffer.wrap(key).getLong();
                String id = new String(key, 8, key.length - 8, StandardCharsets.UTF_8);
                Customer customer = customers.get(id);
                if (customer.armed == at) {
                    customer.armed = Customer.NONE;
                    customer.judgeUntil(watermark, found(id));
                    keep(id, customer);
                }
            }
        }
        drained = watermark;
    }

    /** Stores the customer, and the timer that it lacks. One that is due later than the timer needs no other. */
    private void keep(String id, Customer customer) {
        long due = customer.due();
        if (due != Customer.NONE && (customer.armed == Customer.NONE || customer.armed > due)) {
            customer.armed = due;
            drained = Math.min(drained, Math.max(due, 0));
            timers.put(timer(due, id), NOTHING);
        }
        customers.put(id, customer);
    }

    private Customer.Found found(String id) {
        return (rule, transition, reason, at, firedAt) -> context.forward(new Record<>(
                id, new Alert(rule, id, transition, reason, Alert.text(at), Alert.text(firedAt)), at));
    }

    private static Bytes timer(long at, String id) {
        byte[] text = id.getBytes(StandardCharsets.UTF_8);
        return Bytes.wrap(ByteBuffer.allocate(8 + text.length).putLong(at).put(text).array());
    }
}
