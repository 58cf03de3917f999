-- /queue: who runs and who waits in this channel, with a way to take one's own out.
local say = require "lib/say"

local MOST = 15 -- turns that fit into one message

---@type Command
return {
  name = "queue",
  description = "Who is waiting here, and a way to leave the queue",
  run = function(ctx)
    local turns = ctx:queue()
    if #turns == 0 then
      return ctx:reply { "Nothing is running and nobody is waiting.", ephemeral = true }
    end
    local lines, mine, waiting = {}, {}, 0
    for place, turn in ipairs(turns) do
      local where = "running"
      if turn.steered then
        where = "joins it"
      elseif not turn.running then
        waiting = waiting + 1
        where = ("%d."):format(waiting)
      end
      if place <= MOST then
        lines[#lines + 1] = ("%s %s, %s: %s"):format(
          where, tostring(turn.user), say.span(turn.seconds), say.line(turn.prompt, 60))
      end
      if turn.user.id == ctx.user.id and not turn.running and #mine < 24 then
        mine[#mine + 1] = { label = say.line(("%s %s"):format(where, turn.prompt), 75), value = turn.id }
      end
    end
    if #turns > MOST then lines[#lines + 1] = ("… and %d more"):format(#turns - MOST) end
    local list = table.concat(lines, "\n")
    if #mine == 0 then
      return ctx:reply { list, ephemeral = true }
    end
    mine[#mine + 1] = { label = "Keep them", value = "keep" }
    local chosen = ctx:choose { list .. "\n\nTake one of yours out?", options = mine, ephemeral = true }
    if not chosen or chosen == "keep" then return end
    if ctx:take_out(chosen) then
      ctx:reply { "It's out of the queue.", ephemeral = true }
    else
      ctx:reply { "It has already started; /stop ends it.", ephemeral = true }
    end
  end,
}
