-- /stop: end the turn that runs in this channel, or the rest of its answer.

---@type Command
return {
  name = "stop",
  description = "End the turn that is running here",
  run = function(ctx)
    local turn = ctx:stop()
    if turn and turn.answering then
      ctx:reply(("Stopped the answer to %s: the rest of it is not posted."):format(tostring(turn.user)))
    elseif turn then
      ctx:reply(("Stopped the turn of %s."):format(tostring(turn.user)))
    else
      ctx:reply { "Nothing is running here.", ephemeral = true }
    end
  end,
}
