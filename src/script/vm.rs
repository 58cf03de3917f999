//! One Luau VM and its budget. Everything that runs Lua code goes through [`Vm::run`].
//!
//! # Theory of operation
//! Luau calls its *interrupt* at every call and every iteration of a loop, in pattern matching and inside `pcall` too. The
//! interrupt reads the clock; once a call is over its limit, every further interrupt raises an error again, so that a script
//! which catches the first one is ended by the next, and even one that manages to return something has still failed
//! ([`TimedCall::struck`]). The limit is wall-clock time, because that is how long others wait. But no script fails because
//! the machine is busy: one that had the processor for less than half of its limit continues, up to [`PATIENCE`] times the
//! limit.
//!
//! Native functions that could work for long without an interrupt are bounded by `natives.lua`.
//!
//! After an out-of-memory error (which the script may have caught) the script's own tables may still fill the VM, so
//! collecting garbage is not enough: [`Vm::afresh`] runs the same sources in a new VM. It reads no files, so what runs is
//! always what was loaded.
//!
//! `sandbox(true)` makes libraries and globals read-only. On top of that, scripts have no `coroutine` (an effect inside one
//! would be lost), nothing that compiles text or swaps environments, and our own `require`, because Luau's leaves the script
//! folder.

pub(super) mod global;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Lua, LuaOptions, StdLib, VmState};
use parking_lot::Mutex;

use super::data::{cut, shown};
use super::lint::{self, CalledFunction, Globals};
use super::problem::{FailureKind, LuaFailure, ScriptProblem};

/// The largest script file.
const MAX_SOURCE: u64 = 1024 * 1024;
/// How many lines one call may print, and how long each may be in bytes.
const MAX_PRINTED: u32 = 50;
const MAX_PRINTED_BYTES: usize = 2000;

/// Functions of Luau's `coroutine`, and where they are kept in the registry.
const YIELD: &str = "yield";
const YIELDABLE: &str = "isyieldable";
const NATIVES: &str = "moonlane.natives";

/// How much a call into a script may use.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// How long one call may take.
    pub time: Duration,
    /// The memory of the whole VM, in bytes.
    pub memory: usize,
}

/// A VM with its budget, and the files that were loaded into it.
pub struct Vm {
    lua: Lua,
    clock: Arc<Clock>,
    files: Arc<Mutex<ScriptFiles>>,
    budget: Budget,
    globals: Globals,
}

impl Vm {
    /// A VM that loads files from `dir`, which errors name as `shown`.
    ///
    /// # Errors
    /// If the memory limit is too small for any VM.
    pub fn new(dir: PathBuf, shown: String, budget: Budget) -> Result<Self, LuaFailure> {
        Self::with_files(ScriptFiles { dir, shown, ..ScriptFiles::default() }, budget)
    }

    fn with_files(files: ScriptFiles, budget: Budget) -> Result<Self, LuaFailure> {
        let clock = Arc::new(Clock {
            running: Mutex::new(None),
            printed: AtomicU32::new(0),
            places: Mutex::new(None),
        });
        let files = Arc::new(Mutex::new(files));
        let libraries = StdLib::COROUTINE
            | StdLib::TABLE
            | StdLib::STRING
            | StdLib::MATH
            | StdLib::UTF8
            | StdLib::BIT
            | StdLib::BUFFER
            | StdLib::VECTOR
            | StdLib::OS
            | StdLib::DEBUG;
        let lua = Lua::new_with(libraries, LuaOptions::new()).map_err(LuaFailure::from)?;
        let mut vm = Self { lua, clock, files, budget, globals: Globals::new() };
        vm.lua.set_memory_limit(budget.memory).map_err(LuaFailure::from)?;
        let files = Arc::clone(&vm.files);
        let clock = Arc::clone(&vm.clock);
        vm.globals = vm.run(|lua| set_up(lua, clock, files))?;
        Ok(vm)
    }

    /// Runs Lua code under the limits. There is no other way to run any.
    ///
    /// `&mut`, so that two calls cannot share one clock.
    ///
    /// # Errors
    /// What the code raised, or the limit that it hit.
    pub fn run<T>(&mut self, code: impl FnOnce(&Lua) -> mlua::Result<T>) -> Result<T, LuaFailure> {
        self.clock.start(self.budget.time);
        let result = code(&self.lua);
        let struck = self.clock.stop();
        if let Some(traceback) = struck {
            let message = format!("ran longer than {:?} (`scripts.time_limit`)", self.budget.time);
            return Err(LuaFailure::new(FailureKind::TimedOut, message).traced(&traceback));
        }
        let result = result.map_err(|error| {
            let mut failure = LuaFailure::from(error);
            if failure.kind == FailureKind::OutOfMemory {
                let limit = bytesize::ByteSize::b(self.budget.memory as u64);
                failure.message = format!("needed more memory than {limit} (`scripts.memory_limit`)");
            }
            failure
        });
        if matches!(&result, Err(LuaFailure { kind: FailureKind::OutOfMemory, .. })) {
            // In Luau every call fails from here on until garbage is collected.
            drop(self.lua.gc_collect());
        }
        result
    }

    /// What `natives.lua` has for our own use: `dress` makes a table strict (called with the table's name in errors, and the
    /// table), and `raising` makes a tool raise its errors at the caller's line.
    ///
    /// # Errors
    /// If it is missing.
    pub fn natives(lua: &Lua) -> mlua::Result<mlua::Table> {
        lua.named_registry_value(NATIVES)
    }

    /// What the driver of commands needs of `coroutine`, which scripts do not have: `yield` and `isyieldable`.
    ///
    /// # Errors
    /// If they are missing.
    pub fn coroutine(lua: &Lua) -> mlua::Result<(mlua::Function, mlua::Function)> {
        Ok((lua.named_registry_value(YIELD)?, lua.named_registry_value(YIELDABLE)?))
    }

    /// What the file of this module (`routing`, `lib/names`) returned; runs it unless it has run.
    ///
    /// # Errors
    /// As [`Vm::run`]; also if the file cannot be read.
    pub fn module(&mut self, name: &str) -> Result<mlua::Value, LuaFailure> {
        let files = Arc::clone(&self.files);
        self.run(|lua| require(lua, &files, name)).map_err(|mut failure| {
            if failure.kind == FailureKind::OutOfMemory
                && let Some((file, line)) = self.locate_out_of_memory(name)
            {
                (failure.file, failure.line) = (Some(file), Some(line));
            }
            let path = self.files.lock().shown_path(&format!("{name}.lua"));
            // A problem with the file itself begins with its name, for the sake of other files that require it.
            if let (None, Some(rest)) = (&failure.file, failure.message.strip_prefix(&path)) {
                failure.message = rest.trim_start().to_owned();
            }
            failure.or_in(&path)
        })
    }

    /// The line at which this module runs out of memory. Luau's memory error names none, so the module runs once more
    /// in a new VM that notes the place of each interrupt; the last one is at most one call or loop iteration earlier.
    fn locate_out_of_memory(&self, name: &str) -> Option<(String, u32)> {
        let mut again = self.afresh().ok()?;
        // Noting takes longer than running.
        again.budget.time = again.budget.time.saturating_mul(PATIENCE);
        *again.clock.places.lock() = Some(None);
        let files = Arc::clone(&again.files);
        let ended = again.run(|lua| require(lua, &files, name));
        let place = again.clock.places.lock().take().flatten();
        place.filter(|_| ended.is_err_and(|failure| failure.kind == FailureKind::OutOfMemory))
    }

    /// What is wrong with the names in the files that were loaded, of which the bot calls these functions.
    pub fn lint(&self, called: &[CalledFunction]) -> Vec<ScriptProblem> {
        let files = self.files.lock();
        // What is no Lua has a problem already.
        let is_lua = |source: &str| self.lua.load(source).set_mode(ChunkMode::Text).into_function().is_ok();
        let sources = files.sources.iter().filter(|(_, source)| is_lua(source));
        let named = sources.map(|(file, source)| (files.shown_path(file), source.clone()));
        lint::lint(&named.collect(), &self.globals, called)
    }

    /// From here on no more files are read: a script set is what its files were when it was loaded.
    pub fn seal(&mut self) {
        self.files.lock().sealed = true;
    }

    /// Whether so much memory is in use, even after collecting garbage, that the next call might not get any.
    pub fn is_full(&mut self) -> bool {
        let full = |lua: &Lua| lua.used_memory() > self.budget.memory / 4 * 3;
        full(&self.lua) && (self.lua.gc_collect().is_err() || full(&self.lua))
    }

    /// A new VM with the same files, none of which has run yet. Reads no files.
    ///
    /// # Errors
    /// As [`Vm::new`].
    pub fn afresh(&self) -> Result<Self, LuaFailure> {
        let old = self.files.lock();
        let files = ScriptFiles {
            dir: old.dir.clone(),
            shown: old.shown.clone(),
            found: old.found.clone(),
            sources: old.sources.clone(),
            sealed: true,
            ..ScriptFiles::default()
        };
        drop(old);
        Self::with_files(files, self.budget)
    }
}

/// How many times its limit a call may take if it spends most of the time waiting for a processor.
const PATIENCE: u32 = 10;

/// The stopwatch of the call that is running.
struct Clock {
    running: Mutex<Option<TimedCall>>,
    /// How many lines the call has printed.
    printed: AtomicU32,
    /// Where the latest interrupt was; the outer `None` if nobody wants to know.
    places: Mutex<Option<Option<(String, u32)>>>,
}

struct TimedCall {
    limit: Duration,
    started: Instant,
    /// The thread's processor time when the call started.
    used_before: Duration,
    /// Where the script was when it first hit the limit: a traceback.
    struck: Option<String>,
}

/// Raised by the interrupt. What counts is [`TimedCall::struck`], because a script may catch this.
#[derive(Debug, thiserror::Error)]
#[error("out of time")]
struct OutOfTime;

impl Clock {
    fn start(&self, limit: Duration) {
        let (started, used_before) = (Instant::now(), processor_time());
        *self.running.lock() = Some(TimedCall { limit, started, used_before, struck: None });
        self.printed.store(0, Ordering::Relaxed);
    }

    fn stop(&self) -> Option<String> {
        self.running.lock().take().and_then(|running| running.struck)
    }

    /// Whether the call may write another line to the log.
    fn may_print(&self) -> bool {
        let printed = self.printed.fetch_add(1, Ordering::Relaxed);
        // A call that is only repeated to find a line has printed all this before.
        if printed > MAX_PRINTED || self.places.lock().is_some() {
            return false;
        }
        if printed == MAX_PRINTED {
            tracing::info!("the script prints more than {MAX_PRINTED} lines; the rest are dropped");
        }
        printed < MAX_PRINTED
    }

    fn check(&self, lua: &Lua) -> mlua::Result<VmState> {
        if let Some(place) = self.places.lock().as_mut() {
            *place = innermost(lua);
        }
        let mut running = self.running.lock();
        let Some(running) = running.as_mut() else { return Ok(VmState::Continue) };
        if running.struck.is_none() {
            let used = || processor_time().saturating_sub(running.used_before);
            let over = is_over(running.limit, running.started.elapsed(), used);
            if !over {
                return Ok(VmState::Continue);
            }
            let traceback = lua.traceback(None, 0).map(|text| text.to_string_lossy());
            running.struck = Some(traceback.unwrap_or_default());
        }
        Err(mlua::Error::external(OutOfTime))
    }
}

/// Whether a call is over its limit that began this long ago and has `used` this much processor time.
fn is_over(limit: Duration, waited: Duration, used: impl FnOnce() -> Duration) -> bool {
    // The wall clock first: asking for processor time is a system call.
    waited >= limit && (waited >= limit.saturating_mul(PATIENCE) || used() >= limit / 2)
}

/// The innermost line of a script that is running.
fn innermost(lua: &Lua) -> Option<(String, u32)> {
    (0..16).find_map(|level| {
        lua.inspect_stack(level, |frame| {
            let line = u32::try_from(frame.current_line()?).ok()?;
            Some((frame.source().short_src?.to_string(), line))
        })
        .flatten()
    })
}

/// The processor time that this thread has used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn set_up(lua: &Lua, clock: Arc<Clock>, files: Arc<Mutex<ScriptFiles>>) -> mlua::Result<Globals> {
    let globals = lua.globals();
    let coroutine: mlua::Table = globals.raw_get("coroutine")?;
    for name in [YIELD, YIELDABLE] {
        lua.set_named_registry_value(name, coroutine.raw_get::<mlua::Function>(name)?)?;
    }
    for name in ["coroutine", "loadstring", "getfenv", "setfenv", "collectgarbage", "newproxy"] {
        globals.raw_set(name, mlua::Nil)?;
    }
    globals.raw_set("require", lua.create_function(move |lua, name: String| require(lua, &files, &name))?)?;
    let printing = Arc::clone(&clock);
    globals.raw_set(
        "print",
        lua.create_function(move |lua, values: mlua::Variadic<mlua::Value>| print(lua, &printing, &values))?,
    )?;
    // Without line information, so that what a native function raises is reported at the script's line that called it.
    let natives = lua.load(include_str!("natives.lua")).set_name("=natives");
    let tools = global::tools(lua, Arc::clone(&clock))?;
    let natives: mlua::Table = natives.set_compiler(Compiler::new().set_debug_level(0)).call(tools)?;
    lua.set_named_registry_value(NATIVES, natives)?;
    lua.set_interrupt(move |lua| clock.check(lua));
    let names = names(&globals)?;
    lua.sandbox(true)?;
    Ok(names)
}

/// The names of all globals, with those in their tables.
fn names(globals: &mlua::Table) -> mlua::Result<Globals> {
    let mut names = Globals::new();
    for pair in globals.pairs::<String, mlua::Value>() {
        let (name, value) = pair?;
        let members = match value {
            mlua::Value::Table(table) if name != "_G" => {
                table.pairs::<String, mlua::Value>().map(|pair| Ok(pair?.0)).collect::<mlua::Result<_>>()?
            }
            _ => BTreeSet::new(),
        };
        names.insert(name, members);
    }
    Ok(names)
}

/// Where a script is, this many calls up.
fn place(lua: &Lua, level: usize) -> (String, usize) {
    let place = lua.inspect_stack(level, |frame| {
        let source = frame.source().short_src.map(|s| s.to_string()).unwrap_or_default();
        (source, frame.current_line().unwrap_or_default())
    });
    place.unwrap_or_default()
}

/// Lua's `print`, to the log.
fn print(lua: &Lua, clock: &Clock, values: &[mlua::Value]) -> mlua::Result<()> {
    if !clock.may_print() {
        return Ok(());
    }
    let (file, line) = place(lua, 1);
    let mut text = String::new();
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            text.push('\t');
        }
        match value {
            mlua::Value::String(string) => {
                let bytes = string.as_bytes();
                let start = &bytes[..bytes.len().min(MAX_PRINTED_BYTES + 1)];
                text.push_str(&String::from_utf8_lossy(start));
            }
            value => text.push_str(&value.to_string()?),
        }
        // Not only at the end: one string of the script, printed a hundred times, would not count against its memory.
        if text.len() > MAX_PRINTED_BYTES {
            text = cut(text, MAX_PRINTED_BYTES);
            break;
        }
    }
    tracing::info!(script = file, line, "print: {text}");
    Ok(())
}

/// What has been loaded of the script folder.
#[derive(Default)]
struct ScriptFiles {
    /// The folder, canonical.
    dir: PathBuf,
    /// The folder, as errors name it.
    shown: String,
    /// The canonical path, below the folder, of each file that was asked for (they differ if there are links).
    found: BTreeMap<String, String>,
    /// The text of each file that was loaded, by canonical path below the folder.
    sources: BTreeMap<String, String>,
    /// What each file returned, by canonical path: a file with two names runs once.
    modules: HashMap<String, mlua::Value>,
    /// The files that are running, the outermost first.
    running: Vec<String>,
    /// Whether only `sources` may be used.
    sealed: bool,
}

/// `require "lib/names"`: runs that file in the script folder, once per VM, and returns what it returned.
fn require(lua: &Lua, files: &Arc<Mutex<ScriptFiles>>, name: &str) -> mlua::Result<mlua::Value> {
    let (file, chunk_name, source) = {
        let mut files = files.lock();
        let (asked, file) = files.find(name).map_err(mlua::Error::runtime)?;
        if let Some(value) = files.modules.get(&file) {
            return Ok(value.clone());
        }
        if let Some(start) = files.running.iter().position(|running| *running == file) {
            let circle = [&files.running[start..], std::slice::from_ref(&file)].concat().join(" → ");
            return Err(mlua::Error::runtime(format!("these files require each other: {circle}")));
        }
        let source = files.read(&file).map_err(mlua::Error::runtime)?;
        files.running.push(file.clone());
        let chunk_name = format!("@{}", files.shown_path(&asked));
        (file, chunk_name, source)
    };
    let result = lua.load(source).set_name(chunk_name).set_mode(ChunkMode::Text).eval::<mlua::Value>();
    let mut files = files.lock();
    files.running.pop();
    let value = result?;
    files.modules.insert(file, value.clone());
    Ok(value)
}

impl ScriptFiles {
    fn shown_path(&self, file: &str) -> String {
        format!("{}/{file}", self.shown)
    }

    /// The file that a script means by `name`: as written, and its canonical path, both below the folder.
    fn find(&mut self, name: &str) -> Result<(String, String), String> {
        let plain = name.strip_prefix("./").unwrap_or(name);
        let asked = format!("{plain}.lua");
        if let Some(file) = self.found.get(&asked) {
            return Ok((asked, file.clone()));
        }
        let shown = shown(name);
        if let Some(stem) = plain.strip_suffix(".lua") {
            return Err(format!("require {shown}: leave out the extension: \"{stem}\""));
        }
        let odd = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains(['\\', '\0']);
        if plain.split('/').any(odd) {
            let rule = "must be a path below the script folder, such as \"lib/names\"";
            return Err(format!("require {shown}: {rule}"));
        }
        if plain.starts_with("types/") {
            return Err(format!("require {shown}: type files are for editors and never run"));
        }
        if self.sealed {
            return Err(format!("require {shown}: not loaded; require it at the top of the file"));
        }
        let file = self.locate(&asked).map_err(|problem| {
            let hint = match plain.contains('.') {
                true => format!("; folders are written with a slash: \"{}\"", plain.replace('.', "/")),
                false => String::new(),
            };
            format!("{} {problem}{hint}", self.shown_path(&asked))
        })?;
        self.found.insert(asked.clone(), file.clone());
        Ok((asked, file))
    }

    /// The canonical path below the folder.
    fn locate(&self, asked: &str) -> Result<String, String> {
        let path = self.dir.join(asked).canonicalize().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => "does not exist".to_owned(),
            _ => format!("cannot be read: {e}"),
        })?;
        match path.strip_prefix(&self.dir) {
            Ok(file) => Ok(file.to_string_lossy().into_owned()),
            Err(_) => Err("is a link to outside of the script folder; put the file itself there".to_owned()),
        }
    }

    fn read(&mut self, file: &str) -> Result<String, String> {
        if let Some(source) = self.sources.get(file) {
            return Ok(source.clone());
        }
        let source = read_file(&self.dir.join(file))
            .map_err(|problem| format!("{} {problem}", self.shown_path(file)))?;
        self.sources.insert(file.to_owned(), source.clone());
        Ok(source)
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let cannot = |e: std::io::Error| format!("cannot be read: {e}");
    // Checked before opening: opening a pipe would wait for somebody to write to it.
    if !path.metadata().map_err(cannot)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    file.take(MAX_SOURCE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_SOURCE {
        return Err(format!("is larger than {} KiB", MAX_SOURCE / 1024));
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    // Some editors begin files with a byte order mark, which Luau does not accept.
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_has_to_wait_for_a_processor_is_given_patience() {
        let limit = Duration::from_millis(100);
        let over =
            |waited, used| is_over(limit, Duration::from_millis(waited), || Duration::from_millis(used));
        assert!(!over(99, 99), "no call is over before its limit");
        assert!(over(100, 100) && over(100, 50), "it had the processor most of the time");
        assert!(!over(100, 49) && !over(999, 49), "it spent most of the time waiting for a processor");
        assert!(over(1000, 0), "but nobody waits forever");
    }
}
