---@meta
-- What crosses between moonlane and the scripts, for editors with lua-language-server. Never run.

---A Discord id: digits in quotes. A number cannot hold all of them.
---@alias Id string

---A length of time, such as "90s", "10m" or "1h 30m".
---@alias Duration string

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

---Takes the place of the rule at the top of routing.lua.
---@class (exact) ProjectAllow
---@field users? Id[] These people.
---@field roles? Id[] Everybody with one of these roles.

---A place to work.
---@class (exact) Project
---@field dir string The directory; relative ones start where config/ and scripts/ are, `~/` is home.
---@field model? string As `claude --model` takes it; the CLI chooses where it is absent.
---@field permission_mode? PermissionMode What Claude may do without asking.
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
---@field command? string[] Stands before `agent.command`, such as { "podman", "exec", "-i", "box" }.
---@field env? table<string, string> Added to the agent's environment.
---@field limits? Limits In place of those in config/moonlane.toml.
---@field answer? AnswerForm Which of Claude's texts are the answer; "last" by default.
---@field text? Text How its answers become Discord messages.
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
---@class (exact) Text
---@field dialect? boolean Whether tables, task lists … are rewritten as what Discord knows; true by default.
---@field max_lines? integer Of one message, as far as nothing is torn: phones fold tall ones. None by default.
---@field max_parts? integer|false A longer answer ends with the whole of it in a file; 8 by default, false: never.

---What `route` may return besides a project's name and nil: a turn (`project`), or an answer (`reply`).
---@class (exact) Route
---@field project? string The project's name.
---@field prompt? string In place of what the trigger made of the message.
---@field model? string For this turn, in place of the project's.
---@field session? "fresh" Forget the channel's session first.
---@field reply? string Say this, and start no turn.

---What triggers.lua returns: a table, or a function that returns the prompt or nil.
---@alias Triggers TriggerTable|fun(message: Message): string?

---@class (exact) TriggerTable
---@field mention? boolean Messages that mention the bot; true by default.
---@field prefixes? string[] Messages that begin with one of these; the rest is the prompt.
---@field patterns? string[] Rust regular expressions; the first group, if there is one, is the prompt.
---@field all_messages_in? Id[] Every message in these channels and their threads.

---What hooks.lua returns. Each function may be absent, and may return nil to change nothing.
---@class (exact) Hooks
---@field on_turn_start? fun(turn: Turn): string? What stands before the turn's prompt, up to 100 KiB.
---@field on_answer? fun(text: string, turn: Turn): string? Asked once; what it returns takes the answer's place.
---@field on_error? fun(error: string, turn: Turn): string? In place of the sentence, up to 1000 characters.

---One prompt and all that Claude does until its answer.
---@class (exact) Turn
---@field id Id Of the message that asked.
---@field channel Id The channel or thread.
---@field project string The project's name.
---@field author Person Who asked.
---@field prompt string What is asked, without the files and without what `on_turn_start` adds.
---@field model? string Of this turn; nil where the CLI chooses.

---@class (exact) Person
---@field id Id
---@field name string As shown in this guild.

---What a person wrote in Discord.
---@class (exact) Message
---@field id Id
---@field channel_id Id The channel or thread it stands in.
---@field parent_channel_id? Id The channel that a thread belongs to; nil outside threads.
---@field channel_name string Without `#`.
---@field guild_id Id
---@field author Author
---@field text string Without the mention of the bot; other mentions are readable as @name and #name.
---@field raw_text string Exactly as Discord sent it.
---@field mentions_me boolean By name, by the bot's own role, or by a reply that pings; never by @everyone.
---@field attachments Attachment[]

---@class (exact) Author
---@field id Id
---@field name string As shown in this guild.
---@field roles Id[]
---@field bot boolean

---@class (exact) Attachment
---@field name string
---@field size integer In bytes.
---@field content_type? string Such as "text/plain; charset=utf-8".
---@field url string
