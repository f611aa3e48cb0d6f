package peer;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/**
 * What the three rules need of a customer, and no more: what cannot matter any more is dropped, and an instant at which
 * nothing can change is not looked at. Amounts are taken to be never below zero.
 */
public final class Customer {
    private static final long DAY = 24 * 3_600_000L;
    private static final long BURST_OVER = 7 * DAY;
    private static final int BURST = 3;
    private static final long QUIET = 60 * DAY;
    private static final long RECENT = 30 * DAY;
    private static final long BASELINE = 120 * DAY;
    private static final int BASELINE_PURCHASES = 3;
    private static final String[] RULES = {"complaint-burst", "gone-quiet", "spending-halved"};
    /** No instant. */
    public static final long NONE = Long.MIN_VALUE;

    /** Takes the transitions that are found. */
    public interface Found {
        void transition(String rule, String transition, String reason, long at, long firedAt);
    }

    /** The entry of the timer store that counts. */
    public long armed = NONE;
    private long latest = NONE;
    private long lastContact = NONE;
    private final long[] firing = {NONE, NONE, NONE};
    /** Of the last 7 days. */
    private final Times complaints = new Times(1);
    /** Of the last 120 days, with their amounts; those before `split` are the baseline, the others the last 30 days. */
    private final Times purchases = new Times(2);
    private int split;
    private long baseline;
    private long recent;

    /** Takes in an event. */
    public void take(Event event, long at, long watermark, Found found) {
        long clock = Math.max(latest, watermark);
        // Due timers are drained now and then, not after each event.
        judgeUntil(at > clock ? at - 1 : clock, found);
        if (at > clock) {
            latest = at;
            clock = at;
        }
        slide(clock);
        add(event, at, clock);
        judge(clock, found);
    }

    /** Judges all that is due by then. */
    public void judgeUntil(long until, Found found) {
        for (long due = due(); due != NONE && due <= until; due = due()) {
            judge(due, found);
        }
    }

    /** The next instant at which a rule can begin or end to hold without an event. */
    public long due() {
        long due = Long.MAX_VALUE;
        if (firing[0] != NONE) {
            due = complaints.at(complaints.size - BURST) + BURST_OVER;
        }
        if (lastContact != NONE && firing[1] == NONE) {
            due = Math.min(due, lastContact + QUIET);
        }
        if (firing[2] != NONE) {
            if (purchases.size > 0) {
                due = Math.min(due, purchases.at(0) + BASELINE);
            }
        } else {
            // Before the baseline has its purchases, none of them counts.
            int next = Math.max(split, BASELINE_PURCHASES - 1);
            if (next < purchases.size) {
                due = Math.min(due, purchases.at(next) + RECENT);
            }
        }
        return due == Long.MAX_VALUE ? NONE : due;
    }

    private void slide(long to) {
        while (complaints.size > 0 && complaints.at(0) <= to - BURST_OVER) {
            complaints.removeFirst();
        }
        while (split < purchases.size && purchases.at(split) <= to - RECENT) {
            recent -= purchases.amount(split);
            baseline += purchases.amount(split);
            split++;
        }
        while (purchases.size > 0 && purchases.at(0) <= to - BASELINE) {
            baseline -= purchases.amount(0);
            purchases.removeFirst();
            split--;
        }
    }

    private void add(Event event, long at, long clock) {
        switch (event.type()) {
            case "interaction" -> lastContact = Math.max(lastContact, at);
            case "complaint" -> {
                lastContact = Math.max(lastContact, at);
                if ("opened".equals(event.status()) && at > clock - BURST_OVER) {
                    complaints.insert(at, 0);
                }
            }
            case "purchase" -> {
                lastContact = Math.max(lastContact, at);
                if (at > clock - BASELINE) {
                    purchases.insert(at, event.units());
                    if (at > clock - RECENT) {
                        recent += event.units();
                    } else {
                        baseline += event.units();
                        split++;
                    }
                }
            }
            default -> { }
        }
    }

    private void judge(long at, Found found) {
        slide(at);
        boolean hasBaseline = split >= BASELINE_PURCHASES;
        decide(0, complaints.size >= BURST, "cleared", at, found);
        decide(1, lastContact != NONE && at - lastContact >= QUIET, "cleared", at, found);
        boolean halved = hasBaseline && recent / 1e4 < baseline / 1e4 / 3.0 / 2.0;
        decide(2, halved, hasBaseline ? "cleared" : "insufficient_data", at, found);
    }

    private void decide(int rule, boolean holds, String otherwise, long at, Found found) {
        if (firing[rule] == NONE && holds) {
            firing[rule] = at;
            found.transition(RULES[rule], "fired", "condition_met", at, at);
        } else if (firing[rule] != NONE && !holds) {
            found.transition(RULES[rule], "resolved", otherwise, at, firing[rule]);
            firing[rule] = NONE;
        }
    }

    /** Instants in order, with an amount each if there are two columns. */
    private static final class Times {
        private final int columns;
        private long[] cells = new long[8];
        private int size;

        Times(int columns) {
            this.columns = columns;
        }

        long at(int place) {
            return cells[place * columns];
        }

        long amount(int place) {
            return cells[place * columns + 1];
        }

        void insert(long at, long amount) {
            if ((size + 1) * columns > cells.length) {
                cells = Arrays.copyOf(cells, cells.length * 2);
            }
            int place = size;
            while (place > 0 && at(place - 1) > at) {
                place--;
            }
            System.arraycopy(cells, place * columns, cells, (place + 1) * columns, (size - place) * columns);
            cells[place * columns] = at;
            if (columns == 2) {
                cells[place * columns + 1] = amount;
            }
            size++;
        }

        void removeFirst() {
            size--;
            System.arraycopy(cells, columns, cells, 0, size * columns);
        }

        void write(ByteBuffer out) {
            out.putInt(size);
            for (int cell = 0; cell < size * columns; cell++) {
                out.putLong(cells[cell]);
            }
        }

        void read(ByteBuffer in) {
            size = in.getInt();
            cells = new long[Math.max(8, (size + 1) * columns)];
            for (int cell = 0; cell < size * columns; cell++) {
                cells[cell] = in.getLong();
            }
        }

        int bytes() {
            return 4 + 8 * size * columns;
        }
    }

    private static final Serializer<Customer> WRITE = (topic, customer) -> {
        if (customer == null) {
            return null;
        }
        ByteBuffer out = ByteBuffer.allocate(8 * 8 + 4 + customer.complaints.bytes() + customer.purchases.bytes());
        out.putLong(customer.armed).putLong(customer.latest).putLong(customer.lastContact);
        for (long firing : customer.firing) {
            out.putLong(firing);
        }
        out.putLong(customer.baseline).putLong(customer.recent).putInt(customer.split);
        customer.complaints.write(out);
        customer.purchases.write(out);
        return out.array();
    };

    private static final Deserializer<Customer> READ = (topic, bytes) -> {
        if (bytes == null) {
            return null;
        }
        ByteBuffer in = ByteBuffer.wrap(bytes);
        Customer customer = new Customer();
        customer.armed = in.getLong();
        customer.latest = in.getLong();
        customer.lastContact = in.getLong();
        for (int rule = 0; rule < customer.firing.length; rule++) {
            customer.firing[rule] = in.getLong();
        }
        customer.baseline = in.getLong();
        customer.recent = in.getLong();
        customer.split = in.getInt();
        customer.complaints.read(in);
        customer.purchases.read(in);
        return customer;
    };

    public static final Serde<Customer> SERDE = Serdes.serdeFrom(WRITE, READ);
}
