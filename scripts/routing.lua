-- Which channel works on which project, and who may ask. README.md beside this file says more.
-- `moonlane check` prints everything that is wrong here. Ids are strings in quotes: switch on
-- "Developer Mode" in Discord's settings, then right-click a channel, person or role, "Copy ID".

---@type Routing
return {
  -- Who may start a turn. As long as these are empty, only the owner of the Discord application may.
  allow = {
    users = {},      -- { "231200000000000001" }
    roles = {},      -- { "231200000000000002" }: everybody with this role
    operators = {},  -- who may administer the bot besides the owner
    -- guilds = { "231200000000000000" },  -- the only servers where it does anything; else those where the owner is
  },

  projects = {
    -- The folder `work` beside scripts/, made at start. "acceptEdits": Claude may change files there; for what else
    -- it would have to ask, list it in `allowed_tools`. No project may work where these scripts, the
    -- configuration or the database lie: Claude could let anybody in.
    here = {
      dir = "work",
      permission_mode = "acceptEdits",
    },

    -- site = {
    --   dir = "~/src/site",                       -- from the home directory; "site" is beside config/
    --   model = "sonnet",
    --   permission_mode = "acceptEdits",
    --   allowed_tools = { "Bash(npm test)", "Bash(git *)" },
    --   disallowed_tools = { "WebFetch" },
    --   system_prompt = "You are talking in a Discord channel. Keep answers short.",
    --   limits = { turn = "20m" },
    --   budget = { usd_per_day = 5, per_user_usd_per_day = 1 },  -- no further turn begins once that is spent
    --   allow = { roles = { "231200000000000003" } },  -- takes the place of the rule at the top
    -- },
  },

  -- A channel's project. A thread without an entry of its own uses the one of its channel.
  channels = {
    -- ["231200000000000004"] = "site",
  },

  -- Asked about every channel without an entry. Return a project's name, { project = …, prompt = …,
  -- model = …, fresh = true }, { reply = "…" }, or nil to stay silent. Without this function, other
  -- channels get a hint with their id and the line to add above.
  route = function(message)
    return "here"
  end,
}
