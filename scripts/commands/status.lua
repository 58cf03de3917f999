-- /status: how the bot is, and every session.
local say = require "lib/say"

local MOST = 20 -- fields of an embed that fit into Discord's 6000 characters

-- What the next turn in this channel would use, `route` included.
local function next_turn(ctx)
  local known, next = pcall(ctx.next_turn, ctx)
  if not known then return "The next turn here: unknown" end
  if not next then return "An empty message here starts no turn" end
  local uses = { say.line(next.project, 100), say.line(next.model or "default model", 60), next.permission_mode }
  local unless = next.by_route and ", unless the message's own route says otherwise" or ""
  return ("The next turn here: %s%s"):format(table.concat(uses, " · "), unless)
end

---@type Command
return {
  name = "status",
  description = "What I am doing: sessions, turns, version",
  run = function(ctx)
    local status, sessions, now = ctx:status(), ctx:sessions(), moonlane.now()
    local fields = {}
    for place, session in ipairs(sessions) do
      if place > MOST then break end
      local lines = {
        ("%s · %s"):format(tostring(session.channel), say.line(session.model or "default model", 40)),
        ("%s · $%.2f · %s"):format(
          say.count(session.turns, "turn"), session.cost_usd, say.ago(now, session.last_used)),
      }
      if session.running or session.waiting > 0 then
        lines[3] = ("%s, %d waiting"):format(session.running and "running" or "idle", session.waiting)
      end
      fields[place] = { name = say.line(session.project, 100), text = table.concat(lines, "\n"), inline = true }
    end
    local text = #sessions == 0 and "No sessions yet." or say.count(#sessions, "session")
    if #sessions > MOST then text = text .. (", the newest %d of them here"):format(MOST) end
    ctx:reply {
      ephemeral = true,
      embed = {
        title = "Status",
        text = ("%s\n%d running, %d waiting\n%s"):format(text, status.running, status.waiting, next_turn(ctx)),
        fields = fields,
        footer = ("moonlane %s · up %s · scripts %d"):format(
          status.version, say.span(status.uptime), status.generation),
      },
    }
  end,
}
