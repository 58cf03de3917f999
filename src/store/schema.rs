//! The schema, and how a file gets to it.
//!
//! **messages**: every message that the bot has accepted, whether it started a turn or was answered at once. Its
//! key is what makes a message that Discord delivers twice one message.
//! - `id`: the message's snowflake, a `u64` in SQLite's `i64` bit by bit, like all Discord ids here.
//! - `channel`, `author`, `author_name`, `author_roles`: where and by whom; the roles as JSON.
//! - `accepted`: when it was written here, in Unix milliseconds. The age that pruning and restarts go by.
//!
//! **turns**: the messages that started a turn.
//! - `message`: the message, and so the turn's own id.
//! - `project`: the project's name. The project itself is looked up in the scripts when the turn runs.
//! - `prompt`, `model`, `fresh`: what the route decided; `model` is NULL for the project's own.
//! - `attachments`: a JSON array of the domain's `Attachment`.
//! - `quoted`: the domain's `Quoted` as JSON: the message that its message replies to or forwards; NULL where it does neither.
//! - `session`: the UUID of the session that it ended in; NULL where none is known.
//! - `ours`: 1 where it was asked by a command: the id is the one of the command's use, and the bot posts the prompt.
//! - `prompt_message`: that message, once it stands there; NULL in all others.
//! - `state`: `waiting` until just before an agent gets the prompt, `running`, or, once ended, the outcome itself:
//!   `answered`, `failed`, `cancelled`, `interrupted`. One column, so that there is no running turn with an outcome and no ended one without.
//! - `steered_into`: the turn into which it was put: of a `running` one, that it is on its way there or in it; of an `answered`
//!   one, that it is answered there. NULL in all others.
//! - `unwanted`: why it is to end although it runs: its message was `deleted`, or somebody has `stopped` it; NULL where
//!   nobody has.
//! - `hourglass`: 1 from before its message gets the reaction of one that waits until that is seen to be gone.
//! - `live_line`: the message that shows the turn at work, until it is seen to be gone: 0 where it is on its way, NULL
//!   where there is none.
//! - `notice`: the message that says what can be done about one that waits; as `live_line`.
//! - `asked_in`: the channel that its message is in, where the turn has a thread of its own; NULL in all others. Its `channel` is
//!   the id of that thread, also before it stands.
//! - `thread_open`: 1 once that thread stands.
//!
//! **usage**: what turns have used that are over and for which an agent got the prompt. What is not known is NULL, not 0.
//! - `message`: the turn.
//! - `ended`: when it was over, in Unix milliseconds.
//! - `duration`: how long its agent took, in milliseconds.
//! - `cost`: what this turn alone cost, in millionths of a dollar.
//! - `input`, `output`, `cache_read`, `cache_write`: tokens. All four are known, or none.
//! - `model`: that of its last answer, as the API names it.
//! - `tools`: how many calls of tools there were.
//! - `context`, `context_window`: how full the context was at the last request, and its size, in tokens.
//! - `compacted_from`, `compacted_to`: the same before and after room was made in it; NULL where that was not done.
//!
//! **deliveries**: what is to be said in answer to a message; at most one per message, none where there is
//! nothing to say.
//! - `message`: the message that is answered.
//! - `state`: `open` until every part is posted (`done`) or Discord has refused for good (`refused`). One that somebody
//!   has stopped is `done`; its other parts are spare.
//! - `written`: when it was written down, in Unix milliseconds.
//! - `reason`: why it was refused; NULL in the other states.
//!
//! **parts**: the Discord messages of a delivery.
//! - `message`, `number`: which delivery, and the place in it, from 1.
//! - `text`: what is to be posted.
//! - `instead`: what is posted in its place, where Discord refused the text; NULL in all others.
//! - `file`: the whole Markdown of a long answer, which comes with this part; NULL in all others. Where there is such
//!   a part it is the last.
//! - `spare`: 1 in the parts that the file stands for: they are only posted if Discord refuses the file. Also in those
//!   that nobody wants any more.
//! - `posted`: the id of the Discord message, NULL until it is known to be posted.
//!
//! **sessions**: Claude Code's conversations, one per channel and project.
//! - `channel`, `project`: the key.
//! - `id`: the session's UUID as text. No two rows have the same: a session is in one lane at a time.
//! - `dir`: the directory it was begun in, as bytes: a session is only ever resumed from there.
//! - `live`: 0 until the first result came; a session that is not live cannot be resumed.
//! - `turns`: how many turns it has answered.
//! - `cost`: what the CLI last reported for the whole session, in millionths of a dollar.
//! - `last_used`: Unix milliseconds.
//!
//! **continuations**: turns that a usage limit has refused.
//! - `message`: the turn.
//! - `session`: the session that holds its prompt.
//! - `resets`: when the limit is reset, in Unix seconds.
//! - `state`: `offered` until somebody decides; `wanted`, or `left` where nobody wants it to go on; `begun` once a turn is
//!   accepted that goes on with it; `dropped` where the session or the message that it answers is gone.
//! - `turn`, `due`: the id of that turn, and when it is to begin, in Unix milliseconds; those of one session have the same.
//! - `shown`: the state that its answer shows.
//!
//! **questions**: what Claude has asked people in a turn.
//! - `id`: the key; never used twice, for buttons carry it.
//! - `turn`: the turn.
//! - `kind`: leave for a call of a tool (`permission`), `choices`, a `plan`, or what an MCP server wants (`elicitation`).
//! - `session`: the session that waits for the answer.
//! - `text`: what its message says, without what became of it.
//! - `body`: all that is needed to answer it after a restart, in the form of whoever asked.
//! - `asked`, `decided`: when, in Unix milliseconds.
//! - `posted`: the message that asks; NULL until it is known to be posted.
//! - `state`: `open`, or what became of it.
//! - `source`, `person`: who decided; NULL while it is open.
//! - `reason`: why it is denied, in the words of who decided; NULL where they gave none.
//! - `shown`: the state that its message shows.
//! - `reply`: the message that answered it in words; NULL where none did.
//! - `mode`: the permission mode of the next turn, where the answer to a plan was about it; NULL in all others.
//!
//! **grants**: what people have allowed for a whole session. They go with its row in `sessions`.
//! - `session`: the session's UUID.
//! - `kind`, `what`: a `rule`, in the form that settings have, or a permission `mode`.
//!
//! **limit_warnings**: the usage limits of whose near end somebody was told.
//! - `kind`: the limit, as the CLI names it.
//! - `resets`: when the window is over that was told of, in Unix seconds.
//!
//! **handed_files**: files that Claude has handed over in a turn; those of one row come as one message.
//! - `turn`, `number`: the turn, and the number of the call in it, from 1.
//! - `channel`, `caption`, `names`: where they are posted, what is said with them, and their names as a JSON array; the copies are beside the
//!   database.
//! - `written`: when they were written down, in Unix milliseconds.
//! - `state`: `open` until they are `posted`, or `refused` by Discord.
//! - `posted`: the message that they are in.
//!
//! **choices**: what channels have chosen for themselves, in place of what their project says; no row where that is
//! nothing.
//! - `channel`: the key.
//! - `model`, `permission_mode`: as the CLI takes them; NULL for the project's own.
//! - `verbosity`: what the channel sees of a turn at work, `off`, `line` or `full`; NULL for what the project says.
//!
//! **places**: the channels and threads that the bot knows.
//! - `channel`: the key.
//! - `guild`, `parent`, `name`: where it is, and its name; `parent` is NULL outside threads.
//! - `archived`: 1 in threads that are in the archive.
//! - `owner`: who has opened a thread; NULL outside threads, and where Discord has not told.
//! - `seen`: what was said up to this message is taken in.
//! - `gone`: when it was deleted, or the bot thrown out, in Unix milliseconds; NULL where it is there.
//!
//! **boards**: the board, and what is left of earlier ones.
//! - `asked`: the use of the command that asked for it.
//! - `channel`, `message`: where it stands; `message` is 0 until that is known.
//! - `wanted`: 1 for the one that is to stand; the others are to be taken away.
//!
//! **command_guilds**: the guilds that have commands of their own.
//! - `guild`: the key.
//!
//! The file carries moonlane's `application_id`, and in `user_version` the number of migrations it has had.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// "moon" in ASCII: tells our file from any other program's SQLite file.
pub const APPLICATION_ID: i32 = 0x6d6f_6f6e;

/// Each entry takes a file one version further. Entries are never changed once released, only added.
const MIGRATIONS: [&str; 25] = ["
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        channel INTEGER NOT NULL,
        author INTEGER NOT NULL,
        author_name TEXT NOT NULL,
        accepted INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE turns (
        message INTEGER PRIMARY KEY REFERENCES messages ON DELETE CASCADE,
        project TEXT NOT NULL,
        prompt TEXT NOT NULL,
        model TEXT,
        fresh INTEGER NOT NULL CHECK (fresh IN (0, 1)),
        attachments TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN
            ('waiting', 'running', 'answered', 'failed', 'cancelled', 'interrupted')),
        cost INTEGER NOT NULL CHECK (cost >= 0)
    ) STRICT;

    CREATE TABLE deliveries (
        message INTEGER PRIMARY KEY REFERENCES messages ON DELETE CASCADE,
        state TEXT NOT NULL CHECK (state IN ('open', 'done', 'refused')),
        reason TEXT CHECK ((state = 'refused') = (reason IS NOT NULL))
    ) STRICT;

    CREATE TABLE parts (
        message INTEGER NOT NULL REFERENCES deliveries ON DELETE CASCADE,
        number INTEGER NOT NULL CHECK (number >= 1),
        text TEXT NOT NULL,
        posted INTEGER,
        PRIMARY KEY (message, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE sessions (
        channel INTEGER NOT NULL,
        project TEXT NOT NULL,
        id TEXT NOT NULL,
        dir BLOB NOT NULL,
        live INTEGER NOT NULL CHECK (live IN (0, 1)),
        turns INTEGER NOT NULL CHECK (turns >= 0),
        cost INTEGER NOT NULL CHECK (cost >= 0),
        last_used INTEGER NOT NULL,
        PRIMARY KEY (channel, project)
    ) STRICT, WITHOUT ROWID;
", "
    -- Where two have one session, the one that used it last keeps it.
    DELETE FROM sessions AS older WHERE EXISTS (
        SELECT 1 FROM sessions AS newer WHERE newer.id = older.id
            AND (newer.last_used, newer.channel, newer.project) > (older.last_used, older.channel, older.project)
    );
    CREATE UNIQUE INDEX sessions_by_id ON sessions (id);
", "
    ALTER TABLE parts ADD COLUMN file TEXT;
    ALTER TABLE parts ADD COLUMN spare INTEGER NOT NULL DEFAULT 0 CHECK (spare IN (0, 1));
", "
    CREATE TABLE choices (
        channel INTEGER PRIMARY KEY,
        model TEXT,
        permission_mode TEXT,
        CHECK (model IS NOT NULL OR permission_mode IS NOT NULL)
    ) STRICT;
", "
    CREATE TABLE command_guilds (guild INTEGER PRIMARY KEY) STRICT;
", "
    ALTER TABLE turns ADD COLUMN ours INTEGER NOT NULL DEFAULT 0 CHECK (ours IN (0, 1));
", "
    ALTER TABLE deliveries ADD COLUMN written INTEGER NOT NULL DEFAULT 0;
    UPDATE deliveries SET written = (SELECT accepted FROM messages WHERE id = message);
    ALTER TABLE parts ADD COLUMN instead TEXT;
    UPDATE deliveries SET state = 'done' WHERE state = 'open' AND NOT EXISTS
        (SELECT 1 FROM parts WHERE parts.message = deliveries.message AND posted IS NULL AND NOT spare);
", "
    ALTER TABLE turns ADD COLUMN unwanted TEXT CHECK (unwanted IN ('deleted', 'stopped'));
    ALTER TABLE turns ADD COLUMN hourglass INTEGER NOT NULL DEFAULT 0 CHECK (hourglass IN (0, 1));
    ALTER TABLE turns ADD COLUMN live_line INTEGER;
    CREATE INDEX turns_that_show ON turns (message) WHERE hourglass = 1 OR live_line IS NOT NULL;
", "
    ALTER TABLE turns ADD COLUMN question INTEGER;
    UPDATE turns SET question = message WHERE ours = 1;
", "
    CREATE TABLE places (
        channel INTEGER PRIMARY KEY,
        guild INTEGER NOT NULL,
        parent INTEGER,
        archived INTEGER NOT NULL CHECK (archived IN (0, 1)),
        seen INTEGER NOT NULL,
        gone INTEGER
    ) STRICT;
", "
    ALTER TABLE messages ADD COLUMN author_roles TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE places ADD COLUMN name TEXT NOT NULL DEFAULT '';
", "
    CREATE TABLE usage (
        message INTEGER PRIMARY KEY REFERENCES messages ON DELETE CASCADE,
        ended INTEGER NOT NULL,
        duration INTEGER CHECK (duration >= 0),
        cost INTEGER CHECK (cost >= 0),
        input INTEGER,
        output INTEGER,
        cache_read INTEGER,
        cache_write INTEGER,
        model TEXT,
        tools INTEGER,
        context INTEGER,
        context_window INTEGER,
        compacted_from INTEGER,
        compacted_to INTEGER,
        CHECK ((input IS NULL) = (output IS NULL) AND (input IS NULL) = (cache_read IS NULL)
            AND (input IS NULL) = (cache_write IS NULL)),
        CHECK ((compacted_from IS NULL) = (compacted_to IS NULL))
    ) STRICT;
    CREATE INDEX usage_by_end ON usage (ended);
    -- When it was over was not kept. A cost of 0 was written where none was known, too.
    INSERT INTO usage (message, ended, cost)
        SELECT message, accepted, cost FROM turns JOIN messages ON id = message WHERE cost > 0;
    ALTER TABLE turns DROP COLUMN cost;
", "
    ALTER TABLE turns ADD COLUMN notice INTEGER;
    DROP INDEX turns_that_show;
    CREATE INDEX turns_that_show ON turns (message)
        WHERE hourglass = 1 OR live_line IS NOT NULL OR notice IS NOT NULL;
", "
    ALTER TABLE choices RENAME TO choices_before;
    CREATE TABLE choices (
        channel INTEGER PRIMARY KEY,
        model TEXT,
        permission_mode TEXT,
        verbosity TEXT CHECK (verbosity IN ('off', 'line', 'full')),
        CHECK (model IS NOT NULL OR permission_mode IS NOT NULL OR verbosity IS NOT NULL)
    ) STRICT;
    INSERT INTO choices (channel, model, permission_mode)
        SELECT channel, model, permission_mode FROM choices_before;
    DROP TABLE choices_before;
", "
    CREATE TABLE boards (
        asked INTEGER PRIMARY KEY,
        channel INTEGER NOT NULL,
        message INTEGER NOT NULL,
        wanted INTEGER NOT NULL CHECK (wanted IN (0, 1))
    ) STRICT;
    CREATE UNIQUE INDEX one_board ON boards (wanted) WHERE wanted = 1;
", "
    CREATE TABLE continuations (
        message INTEGER PRIMARY KEY REFERENCES messages ON DELETE CASCADE,
        session TEXT NOT NULL,
        resets INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('offered', 'wanted', 'left', 'begun', 'dropped')),
        turn INTEGER,
        due INTEGER,
        shown TEXT NOT NULL DEFAULT 'offered',
        CHECK ((turn IS NULL) = (due IS NULL) AND (state <> 'wanted' OR turn IS NOT NULL))
    ) STRICT;
    CREATE TABLE limit_warnings (kind TEXT PRIMARY KEY, resets INTEGER NOT NULL) STRICT;
", "
    ALTER TABLE turns ADD COLUMN steered_into INTEGER;
    CREATE INDEX turns_steered ON turns (steered_into) WHERE steered_into IS NOT NULL;
", "
    CREATE TABLE questions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        turn INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('permission', 'choices', 'plan')),
        session TEXT NOT NULL,
        text TEXT NOT NULL,
        body TEXT NOT NULL,
        asked INTEGER NOT NULL,
        posted INTEGER,
        state TEXT NOT NULL DEFAULT 'open',
        source TEXT CHECK (source IN ('person', 'script', 'time', 'nobody')),
        person INTEGER,
        decided INTEGER,
        shown TEXT NOT NULL DEFAULT 'open',
        reply INTEGER,
        CHECK ((state = 'open') = (source IS NULL)),
        CHECK ((source IS 'person') = (person IS NOT NULL))
    ) STRICT;
    CREATE INDEX questions_by_turn ON questions (turn);
    CREATE INDEX questions_by_reply ON questions (reply) WHERE reply IS NOT NULL;
    CREATE INDEX questions_to_show ON questions (id) WHERE state = 'open' OR state <> shown;
", "
    CREATE TABLE grants (
        session TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('rule', 'mode')),
        what TEXT NOT NULL,
        PRIMARY KEY (session, kind, what)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER grants_end_with_their_session AFTER DELETE ON sessions
        BEGIN DELETE FROM grants WHERE session = OLD.id; END;
    CREATE TRIGGER grants_do_not_pass_to_another_session AFTER UPDATE OF id ON sessions WHEN NEW.id <> OLD.id
        BEGIN DELETE FROM grants WHERE session = OLD.id; END;
    ALTER TABLE questions ADD COLUMN mode TEXT;
", "
    ALTER TABLE turns RENAME COLUMN question TO prompt_message;
", "
    ALTER TABLE questions ADD COLUMN reason TEXT;
", "
    ALTER TABLE turns ADD COLUMN quoted TEXT;
    ALTER TABLE turns ADD COLUMN session TEXT;
", "
    -- A column's check cannot be changed.
    ALTER TABLE questions ADD COLUMN new_kind TEXT NOT NULL DEFAULT 'permission'
        CHECK (new_kind IN ('permission', 'choices', 'plan', 'elicitation'));
    UPDATE questions SET new_kind = kind;
    ALTER TABLE questions DROP COLUMN kind;
    ALTER TABLE questions RENAME COLUMN new_kind TO kind;
", "
    ALTER TABLE turns ADD COLUMN asked_in INTEGER;
    ALTER TABLE turns ADD COLUMN thread_open INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE places ADD COLUMN owner INTEGER;
", "
    CREATE TABLE handed_files (
        turn INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
        number INTEGER NOT NULL,
        channel INTEGER NOT NULL,
        caption TEXT NOT NULL,
        names TEXT NOT NULL,
        written INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'posted', 'refused')),
        posted INTEGER CHECK ((state = 'posted') = (posted IS NOT NULL)),
        PRIMARY KEY (turn, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX handed_files_to_post ON handed_files (written) WHERE state = 'open';
    CREATE INDEX handed_files_by_message ON handed_files (posted) WHERE posted IS NOT NULL;
"];

/// The newest version that this program knows.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// Takes the file from whatever version it has to [`VERSION`], in one transaction.
pub fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    migrate_with(&tx, &MIGRATIONS)?;
    tx.commit()
}

fn migrate_with(tx: &Transaction<'_>, migrations: &[&str]) -> rusqlite::Result<()> {
    let done: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for migration in migrations.iter().skip(usize::try_from(done).unwrap_or(0)) {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", migrations.len() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_second_run_changes_nothing_and_a_later_migration_is_added() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        assert_eq!(version(&connection), VERSION);

        let tx = connection.transaction().unwrap();
        migrate_with(&tx, &[&MIGRATIONS[..], &["CREATE TABLE later (x INTEGER) STRICT"]].concat()).unwrap();
        tx.commit().unwrap();
        assert_eq!(version(&connection), VERSION + 1);
        connection.execute("INSERT INTO later VALUES (1)", ()).unwrap();
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_and_the_tables_as_they_were() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let tx = connection.transaction().unwrap();
        let broken = "CREATE TABLE later (x INTEGER); CREATE nonsense";
        migrate_with(&tx, &[&MIGRATIONS[..], &[broken]].concat()).unwrap_err();
        drop(tx);
        assert_eq!(version(&connection), VERSION);
        assert!(connection.prepare("SELECT * FROM later").is_err());
    }

    #[test]
    fn a_delivery_of_an_earlier_version_has_no_file_and_no_spare_parts() {
        let mut connection = Connection::open_in_memory().unwrap();
        let tx = connection.transaction().unwrap();
        migrate_with(&tx, &MIGRATIONS[..2]).unwrap();
        tx.execute_batch(
            "INSERT INTO messages VALUES (1, 1, 1, '', 5); INSERT INTO deliveries VALUES (1, 'open', NULL);
             INSERT INTO parts VALUES (1, 1, 'x', NULL)",
        )
        .unwrap();
        migrate_with(&tx, &MIGRATIONS).unwrap();
        let sql = "SELECT text, file, spare FROM parts";
        let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let part: (String, Option<String>, bool) = tx.query_one(sql, (), columns).unwrap();
        assert_eq!(part, ("x".to_owned(), None, false));
    }

    #[test]
    fn a_file_of_an_earlier_version_keeps_what_it_has_and_gets_room_for_choices() {
        let mut connection = Connection::open_in_memory().unwrap();
        let tx = connection.transaction().unwrap();
        migrate_with(&tx, &MIGRATIONS[..3]).unwrap();
        tx.execute_batch("INSERT INTO sessions VALUES (1, 'a', 'x', x'2f', 1, 1, 0, 10)").unwrap();
        migrate_with(&tx, &MIGRATIONS).unwrap();
        let sql = "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM choices)";
        let counts: (i64, i64) = tx.query_one(sql, (), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(counts, (1, 0));
    }

    #[test]
    fn what_turns_of_an_earlier_version_cost_is_kept_where_it_was_known() {
        let mut connection = Connection::open_in_memory().unwrap();
        let tx = connection.transaction().unwrap();
        migrate_with(&tx, &MIGRATIONS[..11]).unwrap();
        tx.execute_batch(
            "INSERT INTO messages (id, channel, author, author_name, accepted) VALUES (1, 1, 1, '', 5), (2, 1, 1, '', 6);
             INSERT INTO turns (message, project, prompt, fresh, attachments, state, cost) VALUES
                 (1, 'p', '', 0, '[]', 'answered', 70), (2, 'p', '', 0, '[]', 'failed', 0)",
        )
        .unwrap();
        migrate_with(&tx, &MIGRATIONS).unwrap();
        let sql = "SELECT message, ended, cost, tools FROM usage";
        let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let kept: (i64, i64, i64, Option<i64>) = tx.query_one(sql, (), columns).unwrap();
        assert_eq!(kept, (1, 5, 70, None));
    }

    #[test]
    fn what_was_asked_before_keeps_its_kind_and_no_key_is_used_twice() {
        let mut connection = Connection::open_in_memory().unwrap();
        let tx = connection.transaction().unwrap();
        migrate_with(&tx, &MIGRATIONS[..20]).unwrap();
        let ask =
            "INSERT INTO questions (turn, kind, session, text, body, asked) VALUES (1, ?1, '', '', '', 7)";
        tx.execute_batch(
            "INSERT INTO messages (id, channel, author, author_name, accepted) VALUES (1, 1, 1, '', 5)",
        )
        .unwrap();
        for kind in ["plan", "choices", "permission"] {
            tx.execute(ask, [kind]).unwrap();
        }
        tx.execute("DELETE FROM questions WHERE id = 3", ()).unwrap();
        migrate_with(&tx, &MIGRATIONS).unwrap();
        tx.execute(ask, ["elicitation"]).unwrap();
        tx.execute(ask, ["nonsense"]).unwrap_err();
        let mut statement = tx.prepare("SELECT id || ' ' || kind FROM questions ORDER BY id").unwrap();
        let kinds: Vec<String> =
            statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(kinds, ["1 plan", "2 choices", "4 elicitation"]);
    }

    #[test]
    fn of_two_rows_with_one_session_the_later_one_stays() {
        let mut connection = Connection::open_in_memory().unwrap();
        let tx = connection.transaction().unwrap();
        migrate_with(&tx, &MIGRATIONS[..1]).unwrap();
        tx.execute_batch(
            "INSERT INTO sessions VALUES (1, 'a', 'x', x'2f', 1, 1, 0, 10), (2, 'a', 'x', x'2f', 1, 1, 0, 30),
                 (3, 'a', 'x', x'2f', 1, 1, 0, 20), (4, 'a', 'y', x'2f', 1, 1, 0, 5), (5, 'b', 'z', x'2f', 1, 1, 0, 7),
                 (6, 'b', 'z', x'2f', 1, 1, 0, 7)",
        )
        .unwrap();
        migrate_with(&tx, &MIGRATIONS).unwrap();
        tx.commit().unwrap();
        let mut statement = connection.prepare("SELECT channel FROM sessions ORDER BY channel").unwrap();
        let left: Vec<i64> = statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(left, [2, 4, 6]);
    }
}
