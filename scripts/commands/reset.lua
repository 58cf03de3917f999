-- /reset [channel]: forget a channel's session, after asking.
local say = require "lib/say"

---@type Command
return {
  name = "reset",
  description = "Start a channel's session afresh",
  permission = "manage_messages",
  guild_only = true,
  options = {
    { name = "channel", description = "Another channel than this one", type = "channel" },
  },
  run = function(ctx, args)
    local session = ctx:session(args.channel)
    if not session then
      return ctx:reply { "There is no session to reset.", ephemeral = true }
    end
    local question = ("Forget %s with **%s** in %s?"):format(
      say.count(session.turns, "turn"), session.project, tostring(session.channel))
    local answer = ctx:confirm { question, yes = "Reset", timeout = 60 }
    if answer == nil then
      return ctx:reply { "Nobody answered, so nothing was reset.", ephemeral = true }
    elseif not answer then
      return ctx:reply { "Nothing was reset.", ephemeral = true }
    end
    -- It may have gone meanwhile: what counts is what was there now.
    local was = ctx:reset_session(args.channel)
    if was then
      ctx:reply(("Forgot %s with **%s**. The next message starts afresh."):format(
        say.count(was.turns, "turn"), was.project))
    else
      ctx:reply "The session was already gone. The next message starts afresh."
    end
  end,
}
