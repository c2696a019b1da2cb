-- name: InsertSession :one
INSERT INTO sessions (id, workspace_id, started_by, state, server, lease_until)
VALUES (@id, @workspace_id, @started_by, 'starting', @server::uuid, clock_timestamp() + @lease::interval)
RETURNING *;

-- name: LockSessionStarts :exec
-- Until the transaction ends nobody else starts a session, so that a quota is counted right.
SELECT pg_advisory_xact_lock(@key::bigint);

-- name: CountSessions :one
SELECT count(*) FILTER (WHERE state <> 'ended') AS total,
       count(*) FILTER (WHERE state <> 'ended' AND started_by = @user_id) AS of_user,
       count(*) FILTER (WHERE started_by = @user_id AND created_at > clock_timestamp() - interval '1 minute') AS starts
FROM sessions WHERE state <> 'ended' OR started_by = @user_id AND created_at > clock_timestamp() - interval '1 minute';

-- name: SetSessionRecord :execrows
UPDATE sessions SET record = @record WHERE id = @id AND server = @server::uuid AND state <> 'ended';

-- name: LiveSession :one
SELECT * FROM sessions WHERE workspace_id = @workspace_id AND state <> 'ended';

-- name: NewestSession :one
SELECT * FROM sessions WHERE workspace_id = @workspace_id ORDER BY created_at DESC, id DESC LIMIT 1;

-- name: OtherServers :many
-- The servers with live sessions whose leases still run.
SELECT DISTINCT server::uuid AS server FROM sessions
WHERE state <> 'ended' AND server <> @me::uuid AND lease_until >= clock_timestamp();

-- name: TryServerLock :one
SELECT pg_try_advisory_xact_lock(@key::bigint);

-- name: TakeSessions :many
UPDATE sessions SET server = @server::uuid, lease_until = clock_timestamp() + @lease::interval
WHERE state <> 'ended' AND (server = @server::uuid OR server IS NULL OR lease_until < clock_timestamp() OR server = ANY(@dead::uuid[]))
RETURNING *;

-- name: LockSession :one
SELECT * FROM sessions WHERE id = @id FOR UPDATE;

-- name: SetSessionState :one
UPDATE sessions SET state = @state, reason = @reason WHERE id = @id RETURNING *;

-- name: EndSession :one
UPDATE sessions SET state = 'ended', reason = @reason, ended_at = clock_timestamp(), server = NULL, lease_until = NULL
WHERE id = @id
RETURNING *;

-- name: RenewLeases :exec
UPDATE sessions SET lease_until = clock_timestamp() + @lease::interval WHERE server = @server::uuid AND state <> 'ended';

-- name: ReleaseLeases :exec
UPDATE sessions SET server = NULL, lease_until = NULL WHERE server = @server::uuid AND state <> 'ended';

-- name: SessionFence :one
-- The lock keeps the session from being taken over or ended until the transaction ends.
SELECT server FROM sessions WHERE id = @id AND state <> 'ended' FOR SHARE;

-- name: Base :many
SELECT path, kind, executable, hash, target FROM replica_items WHERE session_id = @session_id ORDER BY path;

-- name: BaseAt :many
SELECT named.path, named.kind, named.executable, named.hash, named.target FROM replica_items AS named
WHERE named.session_id = @session_id AND named.path = ANY(@paths::text[])
UNION
SELECT below.path, below.kind, below.executable, below.hash, below.target
FROM (SELECT unnest(@paths::text[]) AS root) AS roots
JOIN replica_items AS below
    ON below.session_id = @session_id AND below.path > roots.root || '/' AND below.path < roots.root || '0'
ORDER BY path;

-- name: SetBase :exec
INSERT INTO replica_items (session_id, path, kind, executable, hash, target)
SELECT @session_id, unnest(@paths::text[]), unnest(@kinds::text[]), unnest(@executables::boolean[]), unnest(@hashes::bytea[]), unnest(@targets::text[])
ON CONFLICT (session_id, path) DO UPDATE
SET kind = excluded.kind, executable = excluded.executable, hash = excluded.hash, target = excluded.target;

-- name: ForgetBase :exec
DELETE FROM replica_items WHERE session_id = @session_id AND path = ANY(@paths::text[]);

-- name: ForgetAllBase :exec
DELETE FROM replica_items WHERE session_id = @session_id;
