-- /mode [mode]: what Claude asks about in this channel. It is kept, and counts from the next turn on.
local MEANS = {
  default = "Claude asks before it changes a file or runs a command",
  acceptEdits = "Claude changes the project's files by itself, and asks before it runs a command",
  plan = "Claude reads and plans, and asks whether the plan is good before it begins",
  dontAsk = "whatever is not allowed beforehand is refused, and nobody is asked",
  auto = "Claude Code itself judges what is harmless enough to be done",
  bypassPermissions = "Claude does everything, and nobody is asked",
}

local function named(mode)
  return mode and ("**%s**"):format(mode) or "that of Claude Code's own settings"
end

local function meaning(mode)
  return mode and (": %s."):format(MEANS[mode]) or "."
end

---@type Command
return {
  name = "mode",
  description = "What Claude asks about in this channel before it does it",
  options = {
    {
      name = "mode",
      description = "Leave it out to see what is chosen now",
      choices = {
        { name = "default: ask before edits and commands", value = "default" },
        { name = "acceptEdits: edit, and ask before commands", value = "acceptEdits" },
        { name = "plan: only plan, and ask before it begins", value = "plan" },
        { name = "dontAsk: refuse what is not allowed beforehand", value = "dontAsk" },
        { name = "auto: Claude Code judges by itself", value = "auto" },
        { name = "bypassPermissions: do everything", value = "bypassPermissions" },
        { name = "project: what the project says", value = "project" },
      },
    },
  },
  run = function(ctx, args)
    if not args.mode then
      local next = ctx:next_turn()
      if not next then return ctx:reply { "There is no project here.", ephemeral = true } end
      return ctx:reply { ("The permission mode here is %s%s"):format(
        named(next.permission_mode), meaning(next.permission_mode)), ephemeral = true }
    end
    local changed = ctx:set_permission_mode(args.mode ~= "project" and args.mode)
    if changed.before == changed.after then
      ctx:reply { ("The permission mode here is %s already."):format(named(changed.after)), ephemeral = true }
    else
      ctx:reply(("Permission mode: %s → %s, from the next turn on%s"):format(
        named(changed.before), named(changed.after), meaning(changed.after)))
    end
  end,
}
