-- name: MakeInstallation :exec
INSERT INTO installation (id) VALUES (@id) ON CONFLICT DO NOTHING;

-- name: ReadInstallation :one
SELECT * FROM installation;

-- name: ClaimKeys :exec
UPDATE installation SET key_fingerprint = @fingerprint WHERE key_fingerprint IS NULL;
