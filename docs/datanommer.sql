-- Writes what datanommer (models 1.x) holds from :start to before :end, UTC, as an archive for `statscache backfill`.
--
-- Of users and packages nothing is written, for they are derived from what the sender published: topic, body, headers.
-- The body is text that holds JSON, and is copied as it is. The quote and the delimiter are characters that JSON never
-- holds, so that COPY escapes nothing.
SET TIME ZONE 'UTC';
COPY (
    SELECT '{"msg_id":' || coalesce(to_json(msg_id)::text, 'null')
        || ',"topic":' || to_json(topic)
        || ',"timestamp":' || extract(epoch FROM timestamp)
        || ',"headers":' || coalesce(headers::text, 'null')
        || ',"msg":' || msg || '}'
    FROM messages
    WHERE timestamp >= :'start' AND timestamp < :'end'
    ORDER BY timestamp
) TO STDOUT WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
