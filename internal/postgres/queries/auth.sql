-- name: LockAccounts :exec
-- Until the transaction ends nobody else makes an account.
LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE;

-- name: AnyUser :one
SELECT EXISTS (SELECT FROM users);

-- name: InsertUser :one
INSERT INTO users (id, username, username_key, password_hash, admin)
VALUES (@id, @username, @username_key, @password_hash, @admin)
RETURNING *;

-- name: UserByKey :one
SELECT * FROM users WHERE username_key = @username_key;

-- name: UserByID :one
SELECT * FROM users WHERE id = @id;

-- name: Users :many
SELECT * FROM users ORDER BY username_key;

-- name: SetPasswordHash :execrows
UPDATE users SET password_hash = @password_hash WHERE id = @id;

-- name: DeleteOtherLogins :execrows
DELETE FROM logins WHERE user_id = @user_id AND id <> @keep;

-- name: InsertLogin :one
-- No row when the account is disabled or gone.
WITH account AS (
    SELECT users.id FROM users WHERE users.id = @user_id AND NOT users.disabled FOR SHARE
)
INSERT INTO logins (id, user_id, token_hash, user_agent, address)
SELECT @id, account.id, @token_hash, @user_agent, @address FROM account
RETURNING *;

-- name: LoginByToken :one
SELECT sqlc.embed(logins), sqlc.embed(users),
    (logins.created_at + @absolute::interval > clock_timestamp() AND logins.seen_at + @idle::interval > clock_timestamp())::boolean AS alive,
    (logins.seen_at < clock_timestamp() - interval '1 minute')::boolean AS stale
FROM logins JOIN users ON users.id = logins.user_id
WHERE logins.token_hash = @token_hash AND NOT users.disabled;

-- name: TouchLogin :exec
UPDATE logins SET seen_at = clock_timestamp() WHERE id = @id AND seen_at < clock_timestamp() - interval '1 minute';

-- name: LoginAlive :one
SELECT (logins.created_at + @absolute::interval > clock_timestamp() AND logins.seen_at + @idle::interval > clock_timestamp())::boolean
FROM logins JOIN users ON users.id = logins.user_id
WHERE logins.id = @id AND NOT users.disabled;

-- name: DeleteLogin :one
DELETE FROM logins WHERE id = @id RETURNING user_id;
