-- /new [prompt]: a thread for a task, with a session of its own.
local say = require "lib/say"

---@type Command
return {
  name = "new",
  description = "Open a thread for a task, with a session of its own",
  guild_only = true,
  options = {
    { name = "prompt", description = "What to ask; without it, you write it in the thread" },
  },
  run = function(ctx, args)
    if args.prompt then
      ctx:ask { args.prompt, thread = true }
      return ctx:reply { "Opening a thread for: " .. say.line(args.prompt, 200), ephemeral = true }
    end
    local thread = ctx:open_thread("Task of " .. ctx.user.name)
    ctx:reply { ("Write to me in %s."):format(tostring(thread)), ephemeral = true }
  end,
}
