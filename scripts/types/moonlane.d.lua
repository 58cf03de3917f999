---@meta
-- What crosses between moonlane and the scripts, for editors with lua-language-server. Never run.
-- Written from the Rust sources by `MOONLANE_WRITE=1 cargo test --locked --lib reference`.

---A Discord id: digits in quotes, because a number cannot hold them all. Wherever an id is expected, the table of a
---person, a channel or a role will do.
---@alias Id string

---A duration: a number of seconds, or a text such as "90s", "10m" or "1h 30m".
---@alias Duration number|string

---What routing.lua returns.
---@class (exact) Routing
---@field allow? Allow Who may start a turn. The owner of the Discord application always may.
---@field budget? Budget What the turns of all projects together may cost within 24 hours before no further one begins.
---@field projects table<string, Project> The places to work, by name.
---@field channels? table<Id, string> The project of each channel, by the channel's id. A thread has its channel's unless it is listed itself.
---@field route? fun(message: Message, prompt: string): string|Route|nil Called where `channels` has no entry. Returns a project's name, a table, or nil to ignore the message.

---@class (exact) Allow
---@field users? Id[] These people.
---@field roles? Id[] Everybody with one of these roles.
---@field operators? Id[] Who may administer the bot, besides its owner.
---@field guilds? Id[] The servers in which the bot does anything; by default those of `[discord] guilds`, or those that an owner is in.

---What turns may cost within 24 hours before no further one begins.
---@class (exact) Budget
---@field usd_per_day? number All turns together, in dollars.
---@field per_user_usd_per_day? number The turns of each person, in dollars.

---A place to work.
---@class (exact) Project
---@field dir string The directory. A relative one starts where config/ and scripts/ are; `~/` is home.
---@field model? string The model, as `claude --model` takes it; by default the CLI chooses.
---@field models? string[] The only models that a channel may choose instead; by default any.
---@field permission_mode? PermissionMode What Claude may do without asking.
---@field permission_modes? PermissionMode[] The only modes that a channel may choose instead; by default all but "auto" and "bypassPermissions".
---@field tools? string[] The exact set of built-in tools.
---@field allowed_tools? string[] What is allowed without asking, such as "Bash(git *)".
---@field disallowed_tools? string[] Tools that are taken away.
---@field system_prompt? string Appended to Claude Code's own system prompt.
---@field setting_sources? SettingSource[] Which of Claude Code's settings files count; by default all three.
---@field effort? Effort How hard the model thinks.
---@field fallback_model? string The model to use when the first one is busy; several, in order, are separated by commas.
---@field max_turns? integer How many round trips to the model a turn may take.
---@field max_usd? number What a turn may cost, in dollars; each turn then starts a process of its own.
---@field add_dirs? string[] More directories in which Claude may work.
---@field mcp_config? string[] MCP servers: files, or JSON in [[…]].
---@field settings? string More settings of Claude Code: a file, or JSON in [[…]].
---@field restricted? boolean Whether there is no shell and no WebFetch, unless `tools` names them, and no settings files.
---@field sandbox? Sandbox "bwrap": agents see nothing but the project and Claude's own folder; needs bubblewrap.
---@field run_as? string The user of this machine that agents run as; the bot needs the right to start them so.
---@field command? string[] What stands before `[agent] command`, such as { "podman", "exec", "-i", "box" }.
---@field env? table<string, string> Variables to add to the agent's environment. SSH_AUTH_SOCK and XDG_RUNTIME_DIR get there only in this way.
---@field env_from? table<string, string> Variables with secrets that stand elsewhere: "env:NAME", of the bot's own environment, or "file:/run/secrets/x".
---@field limits? ProjectLimits Time limits, in place of those in config/moonlane.toml.
---@field file_over? integer A code block of an answer with more lines than this comes as a file in its own message; never by default.
---@field send_files? boolean Whether Claude may hand over files of the project; true by default, and never where `run_as` is set.
---@field deny_files? string[] Files that Claude may not hand over, by name, with `*` and `?`; a name counts for a folder with all in it, too.
---@field answer? AnswerForm Which of Claude's texts are the answer; "last" by default.
---@field busy? Busy What becomes of a message that comes while a turn runs in its channel; "queue" by default.
---@field context? Context What was said in the channel before a prompt goes with it, if the bot may read it; nothing by default.
---@field thread? ThreadMode Whether a message in a channel opens a thread, with a session of its own; "never" by default.
---@field format? Format How answers become Discord messages.
---@field live? Verbosity What a channel sees of a turn at work, unless it chooses something else by /verbosity; "line" by default.
---@field footer? FooterField[]|false What stands in small text below an answer, in this order; false: nothing. { "time", "model", "context" } by default.
---@field budget? Budget What all its turns may cost within 24 hours before no further one begins.
---@field allow? ProjectAllow Who may work here, in place of the rule at the top of routing.lua.
---@field approvers? ProjectAllow Who may answer what Claude asks, besides whoever asked it.
---@field approve? Approve Who answers what Claude asks: "asker" for whoever asked it and the approvers, "approvers" for them alone; "asker" by default.
---@field scripts_may_allow? boolean Whether what Claude asks leave for may be allowed by `on_permission` of hooks.lua; false by default: it can only deny.

---What Claude may do without asking, by Claude Code's own names.
---@alias PermissionMode "default"|"acceptEdits"|"plan"|"dontAsk"|"auto"|"bypassPermissions"

---One of Claude Code's settings files.
---@alias SettingSource
---| "user" # `~/.claude/settings.json`
---| "project" # `.claude/settings.json` and CLAUDE.md in the project
---| "local" # `.claude/settings.local.json` in the project

---How hard the model thinks.
---@alias Effort "low"|"medium"|"high"|"xhigh"|"max"

---What keeps agents from the rest of the machine.
---@alias Sandbox
---| "bwrap" # bubblewrap, which must be installed

---How long each stage of a turn may take.
---@class (exact) ProjectLimits
---@field start? Duration From starting the agent to its first sign of readiness.
---@field wake? Duration From a prompt to the first sign that Claude Code has begun with it.
---@field silence? Duration Without any event, while no tool is running.
---@field tool? Duration Without any event, while a tool is running.
---@field turn? Duration The whole turn.
---@field after_result? Duration From the result until Claude is idle.
---@field continue_spread? Duration How long after a usage limit's reset a turn goes on at most, at random; 0 for at once.
---@field question? Duration How long Claude waits for leave to use a tool and for a word on its plan, and an MCP server for a person.
---@field question_choice? Duration How long Claude waits for an answer to what it asks; 0 for as long as it takes.

---Which of Claude's texts are the answer.
---@alias AnswerForm
---| "last" # every text after the last tool call
---| "all" # every text

---What becomes of a message that comes while a turn runs in its channel.
---@alias Busy
---| "queue" # it waits
---| "steer" # it goes into that turn, or waits where it cannot
---| "interrupt" # it ends that turn, and goes next

---What was said in the channel before a prompt.
---@class (exact) Context
---@field messages? integer How many messages at most, since the turn before; 100 at most.

---Whether a message in a channel gets a thread of its own, with a session of its own. In a thread and in a forum's post
---a turn always stays where it is.
---@alias ThreadMode
---| "never" # it is answered in the channel
---| "message" # each one opens a thread
---| "task" # each one does, but for a reply to a message that has opened one: that goes on there

---How an answer becomes Discord messages.
---@class (exact) Format
---@field dialect? boolean Whether what Discord does not show (tables, task lists, images …) is rewritten; true by default.
---@field max_lines? integer Messages are kept shorter than this where nothing is torn, because phones fold tall ones; no limit by default.
---@field max_parts? integer|false A longer answer ends with a file that holds all of it; 8 by default, false: never.
---@field max_kb? integer|false What an answer has beyond this is only in the file; 200 by default, false: no limit.

---How much of a turn at work is shown.
---@alias Verbosity
---| "off" # only that the bot is typing
---| "line" # one message with what Claude is about, which goes once the answer stands
---| "full" # also what goes into each tool and comes out of it; that stays, as a file

---A field of the small text below an answer.
---@alias FooterField
---| "time" # how long the turn took
---| "model" # the model that answered
---| "context" # how full the context was, with ⚠ from 80 % on
---| "cost" # what the turn cost, as Claude Code estimates it
---| "tools" # how many calls of tools there were
---| "branch" # the branch that git has checked out in the project's directory

---@class (exact) ProjectAllow
---@field users? Id[] These people.
---@field roles? Id[] Everybody with one of these roles.

---Who answers what Claude asks in a turn.
---@alias Approve
---| "asker" # whoever asked Claude, and the approvers
---| "approvers" # only the approvers

---What a person wrote in Discord.
---@class (exact) Message
---@field id Id
---@field channel MessageChannel
---@field guild_id Id
---@field author Person
---@field text string The text without the mention of the bot; other mentions read as @name and #name.
---@field raw_text string The text exactly as Discord sent it.
---@field mentions_me boolean Whether it mentions the bot: by name, by the bot's own role, or by a reply that pings; never by @everyone.
---@field attachments Attachment[]

---The channel or thread of a message. `tostring` of it is the mention.
---@class (exact) MessageChannel
---@field id Id
---@field name string Its name without `#`; empty if Discord has not told it.
---@field parent_id? Id The channel or forum that a thread belongs to.
---@field own_thread boolean Whether it is a thread that the bot has opened, and the bot may read what does not mention it.
---@field tags string[] The names of the tags of a forum's post.

---A person. `tostring` of it is the mention.
---@class (exact) Person
---@field id Id The person's id.
---@field name string The name as shown in this guild.
---@field roles Id[] The person's roles in this guild.
---@field bot boolean Whether this is a bot (or a webhook); such messages never start a turn.

---A file attached to a message.
---@class (exact) Attachment
---@field name string The file name as uploaded.
---@field size integer Its size in bytes.
---@field content_type? string The media type that Discord detected, such as "text/plain; charset=utf-8".
---@field url string Where to fetch it.
---@field voice boolean Whether it is the recording of a voice message.

---What `route` may return besides a project's name and nil: a turn (`project`), or an answer (`reply`).
---@class (exact) Route
---@field project? string The project's name.
---@field prompt? string The prompt, in place of what the trigger made of the message.
---@field model? string The model for this turn, in place of the project's.
---@field fresh? boolean Whether to forget the channel's session first.
---@field reply? string What the bot says, without starting a turn.

---What triggers.lua returns: a table, or a function that returns the prompt, or nil if the message is not for the bot.
---@alias Triggers TriggerTable|fun(message: Message): string?

---@class (exact) TriggerTable
---@field mention? boolean Messages that mention the bot; true by default.
---@field own_threads? boolean Messages in threads that the bot has opened, if it may read them, unless they begin with a mention of somebody else; true by default.
---@field prefixes? string[] Messages that begin with one of these; the prompt is the rest.
---@field patterns? string[] Messages that match one of these regular expressions, in Rust's syntax, of at most 1000 bytes each; the prompt is the first group if there is one.
---@field all_messages_in? Id[] Every message in these channels and their threads.

---What hooks.lua returns. Each function may return nil to change nothing.
---@class (exact) Hooks
---@field before_prompt? fun(turn: Turn): string? Returns what is put before the turn's prompt: at most 100 KiB.
---@field after_answer? fun(text: string, turn: Turn): string? Returns what takes the answer's place. Called once, before the answer is stored.
---@field on_error? fun(error: string, turn: Turn): string? Returns what takes the place of the sentence about a failed turn: at most 1000 characters.
---@field on_permission? fun(request: Request, turn: Turn): "allow"|Denial|nil Decides about a call that Claude wants leave for, before anybody is asked: "allow" allows this call, where the project says `scripts_may_allow = true`; `{ deny = "why" }` denies it; nil has people decide.

---One prompt, and all that Claude does until its answer.
---@class (exact) Turn
---@field id Id The id of the message that asked.
---@field channel Channel Where it was asked.
---@field project string The project's name.
---@field author Person Who asked, as seen then.
---@field prompt string What is asked, without the files and without what `before_prompt` adds.
---@field model? string The turn's model; nil: the CLI chooses.

---A channel or a thread. `tostring` of it is the mention.
---@class (exact) Channel
---@field id Id Its id.
---@field name string Its name without `#`; empty if Discord has not told it.
---@field parent_id? Id The channel that a thread belongs to.

---A call that Claude wants leave for.
---@class (exact) Request
---@field tool string The tool's own name, such as "Bash" or "mcp__tickets__close".
---@field input table<string, any> What it is called with, by the tool's own names; what is not there is nil.
---@field reason? string Why Claude Code asks, in its words; nil where it does not say.
---@field blocked_path? string The path that Claude Code keeps the call from, if it is one.
---@field subagent? string The id of the subagent that asks; nil: Claude itself.

---Why a call is not made.
---@class (exact) Denial
---@field deny string The reason, which Claude reads: at most 1000 characters.

---What a file in commands/ returns: one slash command. It has either `run`, or subcommands that do.
---@class (exact) Command
---@field name string 1 to 32 lower-case letters, digits, `-` or `_`.
---@field description string 1 to 100 characters.
---@field options? Option[] At most 25, the required ones first.
---@field subcommands? Subcommand[] At most 25; the command itself then has neither options nor `run`.
---@field permission? string What a person needs to use it: Discord's name of the permission in lower case, such as "manage_messages".
---@field guild_only? boolean Whether it is kept out of direct messages.
---@field run? fun(ctx: Ctx, args: table<string, any>) What it does.

---Something that is given with a command. It is in `args` under its name; a user is there as a Person, a channel as a
---Channel, a role as a Role.
---@class (exact) Option
---@field name string As for a command.
---@field description string As for a command.
---@field type? OptionType "string" by default.
---@field required? boolean Whether Discord insists on it.
---@field choices? (string|number|Choice)[] The only values, for strings and numbers: at most 25.
---@field min? number The least number, or the least length of a string.
---@field max? number The greatest number, or the greatest length of a string.
---@field autocomplete? fun(ctx: SuggestCtx, typed: string): (string|number|Choice)[]? Suggests values while somebody types; the first 25 count.

---What an option takes.
---@alias OptionType "string"|"integer"|"number"|"boolean"|"user"|"channel"|"role"

---@class (exact) Choice
---@field name string What people see.
---@field value string|number What the command gets.

---What `autocomplete` gets: a command that is still being typed. It can ask the bot for nothing.
---@class (exact) SuggestCtx
---@field command string
---@field subcommand? string
---@field args table<string, any>
---@field user Person Who used the command.
---@field channel Channel
---@field guild_id? Id nil in direct messages.
---@field may fun(self: SuggestCtx, permission: string): boolean Whether the person has this Discord permission here, such as "manage_messages".
---@field commands fun(self: SuggestCtx): CommandInfo[] All commands.

---A command, as other commands see it.
---@class (exact) CommandInfo
---@field name string
---@field description string
---@field options OptionInfo[]
---@field subcommands SubcommandInfo[]
---@field permission? string The permission that it takes.
---@field guild_only boolean
---@field allowed boolean Whether this person has the permission.

---@class (exact) OptionInfo
---@field name string
---@field description string
---@field type OptionType
---@field required boolean

---@class (exact) SubcommandInfo
---@field name string
---@field description string
---@field options OptionInfo[]

---@class (exact) Subcommand
---@field name string
---@field description string
---@field options? Option[] At most 25, the required ones first.
---@field run? fun(ctx: Ctx, args: table<string, any>) What it does; never absent.

---A use of a command. Most of its functions ask the bot for something: they wait for the answer, and raise an error if
---the bot refuses; what a script does not catch, the person is told. They take one value, or a table of keys whose
---first item is that value. One use of a command can call them 500 times in all.
---@class (exact) Ctx
---@field command string
---@field subcommand? string
---@field args table<string, any>
---@field user Person Who used the command.
---@field channel Channel
---@field guild_id? Id nil in direct messages.
---@field reply fun(self: Ctx, reply: string|Say) Answers the command; called again, says one more thing.
---@field edit fun(self: Ctx, edit: string|Say) Replaces what was said last.
---@field defer fun(self: Ctx, defer?: Defer) Tells the person that the answer will take a while.
---@field confirm fun(self: Ctx, confirm: string|Confirm): boolean? Asks yes or no with two buttons, and waits; nil if nobody answers in time.
---@field choose fun(self: Ctx, choose: Choose): string? Offers options as buttons or a menu, and waits. Gives the value of the chosen one, or nil if nobody chooses in time.
---@field session fun(self: Ctx, channel?: Id): Session? The session that the next turn would continue, here or in the given channel, in the project that an empty message would go to now; nil if there is none.
---@field next_turn fun(self: Ctx, channel?: Id): NextTurn? What this person's next turn would use, here or in the given channel, if they wrote an empty message now; nil if that would start none.
---@field sessions fun(self: Ctx): Session[] All sessions, newest first, at most 500.
---@field reset_session fun(self: Ctx, channel?: Id): Session? Forgets that session, so that the next turn starts afresh. Gives what it was; nil if there was none.
---@field set_model fun(self: Ctx, model: string|false|SetModel): Changed Sets the channel's model from the next turn on, across restarts; false goes back to the project's own. Raises unless the project's `models` allow it.
---@field set_permission_mode fun(self: Ctx, mode: PermissionMode|false|SetMode): Changed Does the same for the permission mode, which the project's `permission_modes` must allow.
---@field verbosity fun(self: Ctx, channel?: Id): Verbosity? What the channel sees of a turn at work; nil where it has no project and has chosen nothing.
---@field set_verbosity fun(self: Ctx, verbosity: Verbosity|false|SetVerbosity): Changed Sets that from the next turn on, across restarts; false goes back to the project's `live`.
---@field set_board fun(self: Ctx, board: Id|false|SetBoard): boolean Shows all turns in one message in this channel, which is kept up to date; false takes it away. Only operators may. Gives whether there was one before.
---@field stop fun(self: Ctx, channel?: Id): QueueEntry? Ends the running turn, or the rest of its answer. Gives that turn; nil if none was running. Only who asked, and operators, may.
---@field queue fun(self: Ctx, channel?: Id): QueueEntry[] The turns that are running and waiting, in order.
---@field take_out fun(self: Ctx, turn: Id): boolean Takes a turn of this person's out of the queue. Gives whether it was still waiting.
---@field ask fun(self: Ctx, ask: string|Ask): Id Starts a turn as this person, whatever the trigger says. Gives the turn's id.
---@field open_thread fun(self: Ctx, open_thread: string|OpenThread): Channel Opens a thread in the channel where the command is used, and adds this person to it. Gives the thread.
---@field send fun(self: Ctx, send: Send) Says something in a channel that has a project.
---@field projects fun(self: Ctx): ProjectInfo[] All projects.
---@field status fun(self: Ctx): Status How the bot is doing.
---@field usage fun(self: Ctx, usage?: UsagePeriod|UsageQuery): Usage What turns have used: those of this person, for operators everybody's.
---@field reload fun(self: Ctx): Reloaded Reloads the scripts; only operators may.
---@field may fun(self: Ctx, permission: string): boolean Whether the person has this Discord permission here, such as "manage_messages".
---@field commands fun(self: Ctx): CommandInfo[] All commands.

---What is said in one message.
---@class (exact) Say
---@field [1]? string The text: at most 2000 characters.
---@field text? string The same.
---@field embed? Embed A framed box below the text.
---@field links? Link[] Buttons that open a page: at most 25.
---@field file? File A text file to attach.
---@field ephemeral? boolean Whether only the person who used the command sees it.

---@class (exact) Embed
---@field title? string At most 256 characters.
---@field text? string At most 4096 characters.
---@field url? string Where the title leads.
---@field color? Color The colour of the edge.
---@field fields? Field[] At most 25.
---@field footer? string At most 2048 characters.

---A colour: "#rrggbb" or 0xRRGGBB.
---@alias Color string|integer

---@class (exact) Field
---@field name string At most 256 characters.
---@field text string At most 1024 characters.
---@field inline? boolean Whether others may stand beside it.

---@class (exact) Link
---@field label string At most 80 characters.
---@field url string `https://…` or `http://…`, at most 512 characters.

---@class (exact) File
---@field name string Its name, such as "list.txt", without folders.
---@field text string Its content.

---@class (exact) Defer
---@field ephemeral? boolean Whether only the person who used the command will see the answer.

---@class (exact) Confirm
---@field [1]? string The question.
---@field text? string The same.
---@field yes? string The label of the button for yes; "Yes" by default.
---@field no? string The label of the button for no; "Cancel" by default.
---@field timeout? Duration How long to wait: a minute by default, a day at most.
---@field who? Who Who may answer; by default only the person who used the command.
---@field ephemeral? boolean Whether only the person who used the command sees it.

---@class (exact) Who
---@field users? Id[] These people.
---@field roles? Id[] Everybody with one of these roles.

---@class (exact) Choose
---@field [1]? string The question.
---@field text? string The same.
---@field options (string|Pick)[] What there is to choose from: 1 to 25.
---@field timeout? Duration How long to wait: a minute by default, a day at most.
---@field who? Who Who may choose; by default only the person who used the command.
---@field ephemeral? boolean Whether only the person who used the command sees it.

---@class (exact) Pick
---@field label string What people see: at most 100 characters.
---@field value? string What `choose` gives; the label by default.
---@field description? string A second line: at most 100 characters.

---A channel's conversation with Claude in one project.
---@class (exact) Session
---@field id Id Claude Code's id of it, which `claude --resume` takes in the project's directory.
---@field channel Channel Where it is.
---@field project string The project's name.
---@field model? string The model of the next turn; nil: the CLI chooses.
---@field permission_mode? PermissionMode The permission mode of the next turn; nil: the CLI's settings decide.
---@field turns integer How many turns it has answered.
---@field cost_usd number What it has cost in dollars, as the CLI estimates it.
---@field last_used number When it began or last gave a result, in seconds since 1970.
---@field waiting integer How many turns are waiting in the channel.
---@field running boolean Whether a turn is running in the channel.

---What a turn would use.
---@class (exact) NextTurn
---@field project string Its project.
---@field model? string Its model: the one that `route` gives, else the channel's choice, else the project's; nil: Claude Code chooses.
---@field permission_mode? PermissionMode Its permission mode: the channel's choice, else the project's; nil: Claude Code's settings decide.
---@field fresh boolean Whether `route` makes it forget the session.
---@field by_route boolean Whether the function `route` decides here, so that a message's text may lead to something else.

---@class (exact) SetModel
---@field [1]? string|false The model; false: the project's own.
---@field model? string|false The same.
---@field channel? Id Another channel.

---What a setting was, and what it is now; nil where the project sets none.
---@class (exact) Changed
---@field before? string The old value.
---@field after? string The value from the next turn on.

---@class (exact) SetMode
---@field [1]? PermissionMode|false The permission mode; false: the project's own.
---@field mode? PermissionMode|false The same.
---@field channel? Id Another channel.

---@class (exact) SetVerbosity
---@field [1]? Verbosity|false What is to be seen; false: what the project says.
---@field verbosity? Verbosity|false The same.
---@field channel? Id Another channel.

---@class (exact) SetBoard
---@field [1]? Id|false The channel; false: none.
---@field channel? Id|false The same.

---A turn that is running or waiting.
---@class (exact) QueueEntry
---@field id Id The id of the message or command that asked.
---@field user Person Who asked.
---@field prompt string The beginning of the prompt.
---@field running boolean Whether it is running; otherwise it is waiting.
---@field steered boolean Whether it is on its way into the turn that runs, or in it; then it is not running by itself.
---@field answering boolean Whether the work is done and the answer is being posted.
---@field seconds number How long it has been there.

---@class (exact) Ask
---@field [1]? string The prompt.
---@field prompt? string The same.
---@field project? string The project, in place of the channel's.
---@field model? string The model for this turn.
---@field fresh? boolean Whether to forget the channel's session first.
---@field thread? boolean Whether it gets a thread of its own, with a session of its own.

---@class (exact) OpenThread
---@field [1]? string Its name; of a long one, the first words.
---@field name? string The same.

---@class (exact) Send
---@field [1]? string The text: at most 20,000 characters, sent as several messages if need be.
---@field text? string The same.
---@field channel Id The channel.

---A project, as commands see it.
---@class (exact) ProjectInfo
---@field name string Its name.
---@field model? string nil: the CLI chooses.
---@field permission_mode? PermissionMode nil: the CLI's settings decide.

---How the bot is doing.
---@class (exact) Status
---@field version string The bot's version.
---@field uptime number How long it has been running, in seconds.
---@field generation integer Which script set since the start is live, counted from 1.
---@field running integer How many turns are running, over all channels.
---@field waiting integer How many turns are waiting.

---How far back usage is summed up.
---@alias UsagePeriod
---| "day" # the last 24 hours
---| "week" # the last 7 days
---| "month" # the last 30 days

---Which usage `ctx:usage` is to give.
---@class (exact) UsageQuery
---@field [1]? UsagePeriod How far back: the last 24 hours by default, or the last 7 or 30 days.
---@field period? UsagePeriod The same.
---@field by? UsageBy What it is summed up by; projects by default.

---What usage is summed up by.
---@alias UsageBy
---| "user" # who asked
---| "project" # the project
---| "channel" # the channel or thread

---What turns have used that are over.
---@class (exact) Usage
---@field everybody boolean Whether it is everybody's; otherwise it is that of the person who asks.
---@field since number Since when, in seconds since 1970.
---@field total UsageRow All of it; its name is empty.
---@field rows UsageRow[] The parts of it, the dearest first, at most 100.
---@field more integer How many further parts there are.

---What some turns have used together.
---@class (exact) UsageRow
---@field name string The name of the person, project or channel.
---@field turns integer How many turns.
---@field untold integer How many of them did not tell what they cost; they are in none of the sums that they did not tell.
---@field cost_usd number What the others cost in dollars, as Claude Code estimates it.
---@field input_tokens integer Tokens that were read anew.
---@field output_tokens integer Tokens that were written.
---@field cache_read_tokens integer Tokens that were read from the prompt cache.
---@field cache_write_tokens integer Tokens that were read anew and put into the prompt cache.
---@field tools integer How many calls of tools.
---@field seconds number How long they worked.

---What came of a reload.
---@class (exact) Reloaded
---@field generation integer The generation that is live now.
---@field problems string[] What is wrong with the files; with an error among it, the previous set stays live.
---@field live boolean Whether the files are live.

---A role. `tostring` of it is the mention.
---@class (exact) Role
---@field id Id Its id.
---@field name string Its name; empty if Discord has not told it.

---What every script has, hooks included.
---@class (exact) Moonlane
---@field now fun(): number The time, in seconds since 1970.
---@field regex fun(pattern: string, text: string): table? What this regular expression, in Rust's syntax, finds first: `[0]` is all of it, `[1]` the first group; nil if it finds nothing. A pattern has at most 1000 bytes and 20 groups, a text 16,000 bytes.
---@field json Json
---@field time Time
---@field log fun(line: string|Log) Writes a line to the log; `{ line, level = "warn" }` says how important it is. A call can write 50 lines, including those of `print`; the rest are dropped.

---@class (exact) Json
---@field encode fun(value: any): string The value as JSON.
---@field decode fun(text: string): any The value of a JSON text.

---@class (exact) Time
---@field format fun(seconds: number, format?: string, zone?: string): string The time as text: in strftime's format, "%Y-%m-%d %H:%M" by default, and in a zone such as "Europe/Paris", UTC by default.

---@class (exact) Log
---@field [1]? string The line.
---@field text? string The same.
---@field level? LogLevel "info" by default.

---@alias LogLevel "debug"|"info"|"warn"|"error"

---@type Moonlane
moonlane = nil
