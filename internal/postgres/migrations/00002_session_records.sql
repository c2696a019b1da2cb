-- +goose Up
-- What a session used in all, its peaks, and the limits that it ran into; written by its server, read with the session.
ALTER TABLE sessions ADD COLUMN record jsonb NOT NULL DEFAULT '{}' CHECK (pg_column_size(record) <= 262144);
CREATE INDEX sessions_started ON sessions (started_by, created_at DESC);
