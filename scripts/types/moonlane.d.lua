---@meta
-- What crosses between moonlane and the scripts, for editors with lua-language-server. Never run.

---A Discord id: digits in quotes. A number cannot hold all of them. Where a function takes an id, it takes the table of
---a person, a channel or a role as well.
---@alias Id string

---A length of time: a number of seconds, or a text such as "90s", "10m" or "1h 30m".
---@alias Duration number|string

---What routing.lua returns.
---@class (exact) Routing
---@field allow? Allow Who may start a turn; the owner of the application always may.
---@field projects table<string, Project> The places to work, by name.
---@field channels? table<Id, string> The project of each channel; threads use their channel's.
---@field route? fun(message: Message, prompt: string): string|Route|nil Asked where `channels` has no entry.

---@class (exact) Allow
---@field users? Id[] These people.
---@field roles? Id[] Everybody with one of these roles.
---@field operators? Id[] Who may administer the bot, besides its owner.
---@field guilds? Id[] The servers in which the bot does anything; by default those of `[discord] guilds`, or those in which an owner is.

---Takes the place of the rule at the top of routing.lua.
---@class (exact) ProjectAllow
---@field users? Id[] These people.
---@field roles? Id[] Everybody with one of these roles.

---A place to work.
---@class (exact) Project
---@field dir string The directory; relative ones start where config/ and scripts/ are, `~/` is home.
---@field model? string As `claude --model` takes it; the CLI chooses where it is absent.
---@field models? string[] The only models that may be chosen in place of its own; any where it is absent.
---@field permission_mode? PermissionMode What Claude may do without asking.
---@field permission_modes? PermissionMode[] The only modes that may be chosen in place of its own; by default all but "bypassPermissions".
---@field tools? string[] The exact set of built-in tools.
---@field allowed_tools? string[] What is allowed without asking, such as "Bash(git *)".
---@field disallowed_tools? string[] Tools that are taken away.
---@field system_prompt? string Appended to Claude Code's own.
---@field setting_sources? SettingSource[] Which settings files count; all three by default.
---@field effort? Effort How hard the model thinks.
---@field fallback_model? string When the model is busy; several, in order, with commas between them.
---@field max_turns? integer How many round trips to the model a turn may take.
---@field max_usd? number What a turn may cost in dollars; each turn then starts a process of its own.
---@field add_dirs? string[] More directories that Claude may work in.
---@field mcp_config? string[] MCP servers: files, or JSON in [[…]].
---@field settings? string More settings: a file, or JSON in [[…]].
---@field restricted? boolean No shell and no WebFetch unless `tools` names them, no settings files.
---@field sandbox? "bwrap" Agents see only the project and Claude's own folder; needs bubblewrap.
---@field run_as? string The user of this machine that agents run as; the bot needs the right to start them so.
---@field command? string[] Stands before `agent.command`, such as { "podman", "exec", "-i", "box" }.
---@field env? table<string, string> Added to the agent's environment. SSH_AUTH_SOCK and XDG_RUNTIME_DIR get there only so.
---@field limits? Limits In place of those in config/moonlane.toml.
---@field answer? AnswerForm Which of Claude's texts are the answer; "last" by default.
---@field format? Format How its answers become Discord messages.
---@field allow? ProjectAllow Who may work here.

---@alias PermissionMode "default"|"acceptEdits"|"plan"|"dontAsk"|"auto"|"bypassPermissions"
---@alias Effort "low"|"medium"|"high"|"xhigh"|"max"
---@alias SettingSource "user"|"project"|"local"
---"last": every text after the last tool call; "all": every text.
---@alias AnswerForm "last"|"all"

---How long each stage of a turn may take.
---@class (exact) Limits
---@field start? Duration From starting the agent to its first sign of readiness.
---@field silence? Duration Without any event, while no tool runs.
---@field tool? Duration Without any event, while a tool runs.
---@field turn? Duration The whole turn.
---@field after_result? Duration From the result to idle.

---How an answer becomes Discord messages.
---@class (exact) Format
---@field dialect? boolean Whether tables, task lists … are rewritten as what Discord knows; true by default.
---@field max_lines? integer Of one message, as far as nothing is torn: phones fold tall ones. None by default.
---@field max_parts? integer|false A longer answer ends with the whole of it in a file; 8 by default, false: never.
---@field max_kb? integer|false What of an answer is beyond is only in the file; 200 by default, false: no limit.

---What `route` may return besides a project's name and nil: a turn (`project`), or an answer (`reply`).
---@class (exact) Route
---@field project? string The project's name.
---@field prompt? string In place of what the trigger made of the message.
---@field model? string For this turn, in place of the project's.
---@field fresh? boolean Forget the channel's session first.
---@field reply? string Say this, and start no turn.

---What triggers.lua returns: a table, or a function that returns the prompt or nil.
---@alias Triggers TriggerTable|fun(message: Message): string?

---@class (exact) TriggerTable
---@field mention? boolean Messages that mention the bot; true by default.
---@field prefixes? string[] Messages that begin with one of these; the rest is the prompt.
---@field patterns? string[] Rust regular expressions of up to 1000 bytes; the first group, if there is one, is the prompt.
---@field all_messages_in? Id[] Every message in these channels and their threads.

---What hooks.lua returns. Each function may be absent, and may return nil to change nothing.
---@class (exact) Hooks
---@field before_prompt? fun(turn: Turn): string? What stands before the turn's prompt, up to 100 KiB.
---@field after_answer? fun(text: string, turn: Turn): string? Asked once; what it returns takes the answer's place.
---@field on_error? fun(error: string, turn: Turn): string? In place of the sentence, up to 1000 characters.

---One prompt and all that Claude does until its answer.
---@class (exact) Turn
---@field id Id Of the message that asked.
---@field channel Channel
---@field project string The project's name.
---@field author Person Who asked, as seen then.
---@field prompt string What is asked, without the files and without what `before_prompt` adds.
---@field model? string Of this turn; nil where the CLI chooses.

---What a person wrote in Discord.
---@class (exact) Message
---@field id Id
---@field channel Channel
---@field guild_id Id
---@field author Person
---@field text string Without the mention of the bot; other mentions are readable as @name and #name.
---@field raw_text string Exactly as Discord sent it.
---@field mentions_me boolean By name, by the bot's own role, or by a reply that pings; never by @everyone.
---@field attachments Attachment[]

---A person. `tostring` of it is the mention.
---@class (exact) Person
---@field id Id
---@field name string As shown in this guild.
---@field roles Id[]
---@field bot boolean

---@class (exact) Attachment
---@field name string
---@field size integer In bytes.
---@field content_type? string Such as "text/plain; charset=utf-8".
---@field url string

---What a file in commands/ returns: one slash command. Either `run`, or subcommands that have it.
---@class (exact) Command
---@field name string 1 to 32 lower-case letters, digits, `-` or `_`.
---@field description string 1 to 100 characters.
---@field options? Option[] At most 25, the required ones first.
---@field subcommands? Subcommand[] At most 25; then the command itself has neither options nor `run`.
---@field permission? string Who may use it, by Discord's name in lower case, such as "manage_messages".
---@field guild_only? boolean Not in direct messages.
---@field run? fun(ctx: Ctx, args: table<string, any>) What it does.

---@class (exact) Subcommand
---@field name string
---@field description string
---@field options? Option[]
---@field run? fun(ctx: Ctx, args: table<string, any>)

---Something that is given with a command. `args` has it by its name: a person is a Person, a channel a Channel, a role a Role.
---@class (exact) Option
---@field name string As for a command.
---@field description string As for a command.
---@field type? OptionType "string" by default.
---@field required? boolean
---@field choices? (string|number|Choice)[] The only values; at most 25, for strings and numbers.
---@field min? number The least number, or the least length of a string.
---@field max? number The greatest number, or the greatest length of a string.
---@field autocomplete? fun(ctx: SuggestCtx, typed: string): (string|number|Choice)[]? Suggests values; the first 25 count.

---@alias OptionType "string"|"integer"|"number"|"boolean"|"user"|"channel"|"role"

---@class (exact) Choice
---@field name string What people see.
---@field value string|number What the command gets.

---A use of a command. The functions up to `reload` ask the bot for something: they wait for the answer, and raise where
---the bot refuses. What a script does not catch, the person is told. Each takes one value, or a table with more: its
---first item is that value. One use of a command may call them 500 times in all.
---@class (exact) Ctx
---@field command string
---@field subcommand? string
---@field args table<string, any>
---@field user Person Who used the command.
---@field channel Channel
---@field guild_id? Id nil in direct messages.
---@field reply fun(self: Ctx, say: string|Say) Answers the command, and says one more thing after that.
---@field edit fun(self: Ctx, say: string|Say) Puts this in the place of the answer.
---@field defer fun(self: Ctx, defer: Defer?) Tells the person that the answer will take a while.
---@field confirm fun(self: Ctx, confirm: string|Confirm): boolean? Yes or no; nil where nobody answers in time.
---@field choose fun(self: Ctx, choose: Choose): string? The value of what was chosen; nil where nobody does in time.
---@field session fun(self: Ctx, channel?: Id): Session? The one that the next turn here, or in that channel, goes on with.
---@field sessions fun(self: Ctx): Session[] The newest first, at most 500.
---@field reset_session fun(self: Ctx, channel?: Id): Session? Forgets it: the next turn that begins starts afresh. Gives what it was.
---@field set_model fun(self: Ctx, model: string|false|SetModel): Changed From the next turn on; false: the project's.
---@field set_permission_mode fun(self: Ctx, mode: PermissionMode|false|SetMode): Changed The same for the mode.
---@field stop fun(self: Ctx, channel?: Id): QueueEntry? Ends the running turn, or the rest of its answer; nil where none runs.
---@field queue fun(self: Ctx, channel?: Id): QueueEntry[] Who runs and who waits, in order.
---@field take_out fun(self: Ctx, turn: Id): boolean Whether it was still waiting.
---@field ask fun(self: Ctx, ask: string|Ask): Id Starts a turn as this user; gives its id.
---@field send fun(self: Ctx, send: Send) Says something in a channel that routes.
---@field projects fun(self: Ctx): ProjectInfo[]
---@field status fun(self: Ctx): Status
---@field reload fun(self: Ctx): Reloaded Reads the scripts again; only operators may.
---@field may fun(self: Ctx, permission: string): boolean Whether the person has this permission here.
---@field commands fun(self: Ctx): CommandInfo[] All commands.

---What `autocomplete` gets: a use of a command that is still being typed. It can ask for nothing.
---@class (exact) SuggestCtx
---@field command string
---@field subcommand? string
---@field args table<string, any>
---@field user Person
---@field channel Channel
---@field guild_id? Id
---@field may fun(self: SuggestCtx, permission: string): boolean
---@field commands fun(self: SuggestCtx): CommandInfo[]

---A role. `tostring` of it is the mention.
---@class (exact) Role
---@field id Id
---@field name string

---A channel or a thread. `tostring` of it is the mention.
---@class (exact) Channel
---@field id Id
---@field name string Without `#`.
---@field parent_id? Id The channel that a thread belongs to.

---What every script has, hooks included.
---@class (exact) Moonlane
---@field now fun(): number Seconds since 1970.
---@field regex fun(pattern: string, text: string): table? [0]: what was found, [1]…: its groups; nil: nothing.
---@field json Json
---@field time Time
---@field log fun(log: string|Log) Writes a line to the log.

---@type Moonlane
moonlane = nil

---@class (exact) Json
---@field encode fun(value: any): string
---@field decode fun(text: string): any

---@class (exact) Time
---@field format fun(seconds: number, format: string?, zone: string?): string As strftime, "%Y-%m-%d %H:%M" in UTC by default; a zone such as "Europe/Paris".

---What is said in one message.
---@class (exact) Say
---@field [1]? string The text.
---@field text? string The same; at most 2000 characters.
---@field embed? Embed
---@field links? Link[] Buttons that open a page.
---@field file? File
---@field ephemeral? boolean Only who used the command sees it.

---@class (exact) Embed
---@field title? string At most 256 characters.
---@field text? string At most 4096 characters.
---@field url? string What the title leads to.
---@field color? string|integer Such as "#5865f2".
---@field fields? Field[] At most 25.
---@field footer? string

---@class (exact) Field
---@field name string At most 256 characters.
---@field text string At most 1024 characters.
---@field inline? boolean Others may stand beside it.

---@class (exact) Link
---@field label string At most 80 characters.
---@field url string

---@class (exact) File
---@field name string
---@field text string

---@class (exact) Defer
---@field ephemeral? boolean Only who used the command will see the answer.

---@class (exact) Confirm
---@field [1]? string The question.
---@field text? string The same.
---@field yes? string The button for yes; "Yes" by default.
---@field no? string The button for no; "Cancel" by default.
---@field timeout? Duration A minute by default, a day at most.
---@field who? Who Who may answer; by default only who used the command.
---@field ephemeral? boolean Only who used the command sees it.

---@class (exact) Choose
---@field [1]? string The question.
---@field text? string The same.
---@field options (string|Pick)[] 1 to 25.
---@field timeout? Duration
---@field who? Who
---@field ephemeral? boolean

---@class (exact) Pick
---@field label string What people see: at most 100 characters.
---@field value? string What `choose` gives; the label by default.
---@field description? string

---@class (exact) Who
---@field users? Id[]
---@field roles? Id[]

---@class (exact) SetModel
---@field [1]? string|false
---@field model? string|false The same.
---@field channel? Id

---@class (exact) SetMode
---@field [1]? PermissionMode|false
---@field mode? PermissionMode|false The same.
---@field channel? Id

---@class (exact) Ask
---@field [1]? string The prompt.
---@field prompt? string The same.
---@field project? string In place of the channel's.
---@field model? string For this turn.
---@field fresh? boolean Forget the session first.

---@class (exact) Send
---@field [1]? string The text.
---@field text? string The same; at most 20,000 characters.
---@field channel Id Which channel.

---@class (exact) Log
---@field [1]? string The text.
---@field text? string The same.
---@field level? LogLevel "info" by default.

---@alias LogLevel "debug"|"info"|"warn"|"error"

---@class (exact) Session
---@field channel Channel
---@field project string
---@field model? string Of the next turn; nil: the CLI chooses.
---@field permission_mode? PermissionMode Of the next turn; nil: the CLI's settings say.
---@field turns integer
---@field cost_usd number As the CLI estimates it.
---@field last_used number Seconds since 1970.
---@field waiting integer How many turns wait in the channel.
---@field running boolean Whether one runs there.

---@class (exact) QueueEntry
---@field id Id
---@field user Person
---@field prompt string Its beginning.
---@field running boolean Else it waits.
---@field answering boolean The work is done, and the answer is being posted.
---@field seconds number For how long it has been there.

---@class (exact) ProjectInfo
---@field name string
---@field model? string
---@field permission_mode? PermissionMode

---@class (exact) Changed
---@field before? string nil: the project says nothing.
---@field after? string

---@class (exact) Status
---@field version string
---@field uptime number In seconds.
---@field generation integer Of the scripts, since the start.
---@field running integer How many turns run, over all channels.
---@field waiting integer How many wait.

---@class (exact) Reloaded
---@field generation integer That is live now.
---@field problems string[] What is wrong with the files.
---@field live boolean Whether the files are live.

---@class (exact) CommandInfo
---@field name string
---@field description string
---@field options OptionInfo[]
---@field subcommands SubcommandInfo[]
---@field permission? string
---@field guild_only boolean
---@field allowed boolean Whether this person has the permission.

---@class (exact) SubcommandInfo
---@field name string
---@field description string
---@field options OptionInfo[]

---@class (exact) OptionInfo
---@field name string
---@field description string
---@field type OptionType
---@field required boolean
