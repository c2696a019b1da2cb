-- The schema only goes forward: there is no Down. Whoever must go back restores a backup.

-- +goose Up

-- Who there is. Accounts are disabled, not deleted, so that what they did keeps its author.
CREATE TABLE users (
    id            uuid        PRIMARY KEY,
    username      text        NOT NULL CHECK (octet_length(username) BETWEEN 1 AND 255),
    -- The name without regard to case, folded by the server: lower() in a C locale knows ASCII only.
    username_key  text        NOT NULL UNIQUE CHECK (octet_length(username_key) BETWEEN 1 AND 255),
    password_hash text        NOT NULL CHECK (octet_length(password_hash) BETWEEN 1 AND 1024),
    admin         boolean     NOT NULL DEFAULT false,
    disabled      boolean     NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE logins (
    id         uuid        PRIMARY KEY,
    user_id    uuid        NOT NULL REFERENCES users ON DELETE CASCADE,
    token_hash bytea       NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    user_agent text        NOT NULL CHECK (octet_length(user_agent) <= 512),
    address    text        NOT NULL CHECK (octet_length(address) <= 64),
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX logins_user ON logins (user_id);

-- One row: which installation this database belongs to, and with which keys it is encrypted.
CREATE TABLE installation (
    one             boolean     PRIMARY KEY DEFAULT true CHECK (one),
    id              uuid        NOT NULL,
    key_fingerprint bytea       CHECK (octet_length(key_fingerprint) BETWEEN 8 AND 64),
    created_at      timestamptz NOT NULL DEFAULT now()
);

-- Every save changes seq, the totals and changed_at. None of them is indexed, and pages have room, so that such an update
-- touches no index (HOT).
CREATE TABLE workspaces (
    id          uuid        PRIMARY KEY,
    owner_id    uuid        NOT NULL REFERENCES users ON DELETE RESTRICT,
    name        text        NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 1024),
    seq         bigint      NOT NULL DEFAULT 0 CHECK (seq >= 0),
    item_count  integer     NOT NULL DEFAULT 0 CHECK (item_count >= 0),
    total_bytes bigint      NOT NULL DEFAULT 0 CHECK (total_bytes >= 0),
    created_at  timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX workspaces_owner ON workspaces (owner_id);

-- Encrypted content, once per keyed hash.
CREATE TABLE blobs (
    hash   bytea  PRIMARY KEY CHECK (octet_length(hash) = 32),
    size   bigint NOT NULL CHECK (size >= 0),
    sealed bytea  NOT NULL
);
-- Ciphertext does not compress.
ALTER TABLE blobs ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- The newest state of each item. The order of paths is that of their bytes, in which all that is below a folder is one range.
CREATE TABLE workspace_items (
    id           uuid        PRIMARY KEY,
    workspace_id uuid        NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    path         text        COLLATE "C" NOT NULL CHECK (octet_length(path) BETWEEN 1 AND 1024),
    kind         text        NOT NULL CHECK (kind IN ('file', 'folder', 'link')),
    executable   boolean     NOT NULL,
    size         bigint      NOT NULL CHECK (size >= 0),
    hash         bytea       CHECK (octet_length(hash) = 32),
    target       text        NOT NULL CHECK (octet_length(target) <= 4096),
    version      bigint      NOT NULL CHECK (version > 0),
    changed_at   timestamptz NOT NULL,
    -- Checked at the end of each statement, so that one statement can swap two paths.
    CONSTRAINT workspace_items_path UNIQUE (workspace_id, path) DEFERRABLE INITIALLY IMMEDIATE,
    CONSTRAINT workspace_items_shape CHECK (
        kind = 'file' AND hash IS NOT NULL AND target = ''
        OR kind = 'folder' AND hash IS NULL AND size = 0 AND target = '' AND NOT executable
        OR kind = 'link' AND hash IS NULL AND size = 0 AND target <> '' AND NOT executable)
) WITH (fillfactor = 90);

-- Every version that there ever was; also removals, with what was removed. Authors have no foreign keys: a record of who
-- did it outlives the account and the session, and a key to sessions would have to be searched for each session that goes.
CREATE TABLE item_versions (
    workspace_id   uuid        NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    version        bigint      NOT NULL CHECK (version > 0),
    item_id        uuid        NOT NULL,
    path           text        COLLATE "C" NOT NULL CHECK (octet_length(path) BETWEEN 1 AND 1024),
    kind           text        NOT NULL CHECK (kind IN ('file', 'folder', 'link')),
    executable     boolean     NOT NULL,
    size           bigint      NOT NULL CHECK (size >= 0),
    -- The one foreign key to blobs. Every hash in workspace_items is also here, so that whoever collects blobs cannot take
    -- one that is needed, even if the query that looks for the others is wrong.
    hash           bytea       REFERENCES blobs ON DELETE RESTRICT,
    target         text        NOT NULL CHECK (octet_length(target) <= 4096),
    removed        boolean     NOT NULL,
    moved_from     text        COLLATE "C" CHECK (octet_length(moved_from) BETWEEN 1 AND 1024),
    author_user    uuid,
    author_session uuid,
    at             timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, version),
    CHECK ((hash IS NOT NULL) = (kind = 'file'))
);
CREATE INDEX item_versions_item ON item_versions (workspace_id, item_id, version);
CREATE INDEX item_versions_hash ON item_versions (hash) WHERE hash IS NOT NULL;

CREATE TABLE sessions (
    id           uuid        PRIMARY KEY,
    workspace_id uuid        NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    started_by   uuid        NOT NULL REFERENCES users ON DELETE RESTRICT,
    state        text        NOT NULL CHECK (state IN ('starting', 'running', 'ending', 'ended')),
    reason       text        NOT NULL DEFAULT '' CHECK (octet_length(reason) <= 4096),
    -- Who owns it and until when; NULL when nobody does.
    server       uuid,
    lease_until  timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,
    CHECK ((server IS NULL) = (lease_until IS NULL)),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL)),
    CHECK (state <> 'ended' OR server IS NULL)
);
CREATE UNIQUE INDEX sessions_live ON sessions (workspace_id) WHERE state <> 'ended';
CREATE INDEX sessions_newest ON sessions (workspace_id, created_at DESC, id DESC);
CREATE INDEX sessions_server ON sessions (server) WHERE state <> 'ended';

-- What store and sandbox had when they last agreed. Derived: it goes with its session.
CREATE TABLE replica_items (
    session_id uuid    NOT NULL REFERENCES sessions ON DELETE CASCADE,
    path       text    COLLATE "C" NOT NULL CHECK (octet_length(path) BETWEEN 1 AND 1024),
    kind       text    NOT NULL CHECK (kind IN ('file', 'folder', 'link')),
    executable boolean NOT NULL,
    hash       bytea   CHECK (octet_length(hash) = 32),
    target     text    NOT NULL CHECK (octet_length(target) <= 4096),
    PRIMARY KEY (session_id, path)
);

-- The last number given to an audit event. Its row lock orders all audited transactions until they end, so that the numbers
-- have no gaps and rise with the time of commit. A sequence would leave a gap for each rollback.
CREATE TABLE audit_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint  NOT NULL CHECK (seq >= 0)
);
INSERT INTO audit_head (seq) VALUES (0);

CREATE TABLE audit_events (
    seq        bigint      PRIMARY KEY CHECK (seq > 0),
    at         timestamptz NOT NULL,
    -- Who did it; NULL for nobody and for the server itself. No foreign key: an event outlives what it names.
    actor      uuid,
    action     text        NOT NULL CHECK (octet_length(action) BETWEEN 1 AND 100),
    object     text        NOT NULL CHECK (octet_length(object) <= 400),
    outcome    text        NOT NULL CHECK (outcome IN ('done', 'denied')),
    detail     jsonb       NOT NULL,
    request_id text        NOT NULL CHECK (octet_length(request_id) <= 200),
    address    text        NOT NULL CHECK (octet_length(address) <= 64)
);

-- Against mistakes, not against whoever owns the database: an event is never changed or taken away.
-- +goose StatementBegin
CREATE FUNCTION audit_events_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit events are never changed or deleted';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_events_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_only_grow();
