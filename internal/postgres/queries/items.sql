-- name: LockWorkspace :one
-- The lock that serialises the writers of a workspace.
SELECT seq, item_count, total_bytes FROM workspaces WHERE id = @id FOR NO KEY UPDATE;

-- name: Now :one
SELECT clock_timestamp()::timestamptz AS now;

-- name: BlobSizes :many
SELECT hash, size FROM blobs WHERE hash = ANY(@hashes::bytea[]);

-- name: Items :many
SELECT * FROM workspace_items WHERE workspace_id = @workspace_id ORDER BY path;

-- name: ItemsAt :many
-- The items at the paths, and all that is below the roots.
SELECT named.* FROM workspace_items AS named WHERE named.workspace_id = @workspace_id AND named.path = ANY(@paths::text[])
UNION
SELECT below.*
FROM (SELECT unnest(@roots::text[]) AS root) AS roots
JOIN workspace_items AS below
    ON below.workspace_id = @workspace_id AND below.path > roots.root || '/' AND below.path < roots.root || '0'
ORDER BY path;

-- name: ItemByPath :one
SELECT * FROM workspace_items WHERE workspace_id = @workspace_id AND path = @path;

-- name: WorkspaceExists :one
SELECT EXISTS (SELECT FROM workspaces WHERE id = @id);

-- name: InsertBlobs :exec
INSERT INTO blobs (hash, size, sealed)
SELECT unnest(@hashes::bytea[]), unnest(@sizes::bigint[]), unnest(@sealed::bytea[])
ON CONFLICT DO NOTHING;

-- name: BlobByHash :one
SELECT * FROM blobs WHERE hash = @hash;

-- name: DeleteItems :exec
DELETE FROM workspace_items WHERE workspace_id = @workspace_id AND id = ANY(@ids::uuid[]);

-- name: InsertItems :exec
INSERT INTO workspace_items (workspace_id, changed_at, id, path, kind, executable, size, hash, target, version)
SELECT @workspace_id, @changed_at, unnest(@ids::uuid[]), unnest(@paths::text[]), unnest(@kinds::text[]), unnest(@executables::boolean[]),
    unnest(@sizes::bigint[]), unnest(@hashes::bytea[]), unnest(@targets::text[]), unnest(@versions::bigint[]);

-- name: UpdateItems :exec
UPDATE workspace_items AS item
SET path = new.path, kind = new.kind, executable = new.executable, size = new.size, hash = new.hash, target = new.target,
    version = new.version, changed_at = @changed_at
FROM (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@paths::text[]) AS path, unnest(@kinds::text[]) AS kind,
        unnest(@executables::boolean[]) AS executable, unnest(@sizes::bigint[]) AS size, unnest(@hashes::bytea[]) AS hash,
        unnest(@targets::text[]) AS target, unnest(@versions::bigint[]) AS version
) AS new
WHERE item.workspace_id = @workspace_id AND item.id = new.id;

-- name: InsertVersions :exec
INSERT INTO item_versions (workspace_id, at, author_user, author_session, version, item_id, path, kind, executable, size, hash, target,
    removed, moved_from)
SELECT @workspace_id, @at, sqlc.narg(author_user)::uuid, sqlc.narg(author_session)::uuid, unnest(@versions::bigint[]), unnest(@item_ids::uuid[]),
    unnest(@paths::text[]), unnest(@kinds::text[]), unnest(@executables::boolean[]), unnest(@sizes::bigint[]), unnest(@hashes::bytea[]),
    unnest(@targets::text[]), unnest(@removed::boolean[]), NULLIF(unnest(@moved_from::text[]), '');

-- name: SetWorkspaceTotals :exec
UPDATE workspaces SET seq = @seq, item_count = @item_count, total_bytes = @total_bytes, changed_at = @changed_at WHERE id = @id;
