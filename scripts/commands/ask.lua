-- /ask: a turn without a mention. The answer comes as it does to a message.
local say = require "lib/say"

---@type Command
return {
  name = "ask",
  description = "Ask Claude in this channel's project",
  options = {
    { name = "prompt", description = "What to ask", required = true },
    { name = "model", description = "Another model, for this turn" },
    { name = "fresh", description = "Forget the session first", type = "boolean" },
  },
  run = function(ctx, args)
    ctx:ask { args.prompt, model = args.model, fresh = args.fresh }
    ctx:reply { "Asked: " .. say.line(args.prompt, 200), ephemeral = true }
  end,
}
