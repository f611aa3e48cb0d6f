package peer;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import org.apache.kafka.common.serialization.Serializer;

/** The fields of an alert record that say which transition it is. */
public record Alert(
        @JsonProperty("rule_id") String ruleId,
        @JsonProperty("customer_id") String customerId,
        String transition,
        String reason,
        @JsonProperty("occurred_at") String occurredAt,
        @JsonProperty("fired_at") String firedAt) {

    private static final ObjectWriter WRITER = new ObjectMapper().writerFor(Alert.class);
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

    public static final Serializer<Alert> SERIALIZER = (topic, alert) -> {
        try {
            return WRITER.writeValueAsBytes(alert);
        } catch (JsonProcessingException error) {
            throw new UncheckedIOException(error);
        }
    };

    public static String text(long at) {
        return TIME.format(Instant.ofEpochMilli(at));
    }
}
