-- name: LockOwner :one
-- Serialises what is counted per owner.
SELECT id FROM users WHERE id = @id FOR NO KEY UPDATE;

-- name: CountWorkspaces :one
SELECT count(*) FROM workspaces WHERE owner_id = @owner_id;

-- name: InsertWorkspace :exec
INSERT INTO workspaces (id, owner_id, name) VALUES (@id, @owner_id, @name);

-- name: WorkspaceByID :one
SELECT * FROM workspaces WHERE id = @id;

-- name: WorkspacePage :many
SELECT * FROM workspaces
WHERE owner_id = @owner_id AND (changed_at, id) < (@before_at::timestamptz, @before_id::uuid)
ORDER BY changed_at DESC, id DESC
LIMIT @page;

-- name: RenameWorkspace :one
UPDATE workspaces SET name = @name, changed_at = clock_timestamp() WHERE id = @id RETURNING *;

-- name: DeleteWorkspace :one
DELETE FROM workspaces WHERE id = @id RETURNING *;

-- name: Totals :one
SELECT item_count, total_bytes FROM workspaces WHERE id = @id;
