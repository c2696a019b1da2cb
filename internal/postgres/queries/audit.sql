-- name: AppendAuditEvent :exec
-- The time is read once the number is ours, so that both rise together.
WITH head AS (
    UPDATE audit_head SET seq = seq + 1 RETURNING seq
)
INSERT INTO audit_events (seq, at, actor, action, object, outcome, detail, request_id, address)
SELECT head.seq, clock_timestamp(), sqlc.narg(actor)::uuid, @action, @object, @outcome, @detail, @request_id, @address FROM head;
