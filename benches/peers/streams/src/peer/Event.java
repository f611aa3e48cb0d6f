package peer;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Instant;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.streams.processor.TimestampExtractor;

/** What the rules use of an event; other fields are skipped. */
@JsonIgnoreProperties(ignoreUnknown = true)
public record Event(
        String type,
        @JsonProperty("customer_id") String customerId,
        @JsonProperty("occurred_at") String occurredAt,
        String status,
        double amount) {

    private static final ObjectReader READER = new ObjectMapper().readerFor(Event.class);

    /** An event with its time read, once. */
    public record Timed(Event event, long at) {}

    public static final Deserializer<Timed> DESERIALIZER = (topic, bytes) -> {
        try {
            Event event = READER.readValue(bytes);
            return new Timed(event, Instant.parse(event.occurredAt).toEpochMilli());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    };

    /** Stream time is event time. */
    public static final class Time implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            return ((Timed) record.value()).at();
        }
    }

    /** Ten-thousandths, so that sums are exact. */
    public long units() {
        return Math.round(amount * 1e4);
    }
}
