-- /here: which session goes on here.
local say = require "lib/say"

---@type Command
return {
  name = "here",
  description = "Show which project and session go on here",
  run = function(ctx)
    local next = ctx:next_turn()
    if not next then
      return ctx:reply { "No project works here.", ephemeral = true }
    end
    local place = ctx.channel.parent_id and ("This thread of <#%s>"):format(ctx.channel.parent_id) or "This channel"
    local lines = { ("%s works on **%s**."):format(place, next.project) }
    local session = ctx:session()
    if session then
      lines[2] = ("Its session has %s, the last one %s. Claude Code knows it as `%s`."):format(
        say.count(session.turns, "turn"), say.ago(moonlane.now(), session.last_used), session.id)
    else
      lines[2] = "It has no session yet; the next message begins one."
    end
    ctx:reply { table.concat(lines, "\n"), ephemeral = true }
  end,
}
