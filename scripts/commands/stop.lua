-- /stop: end the turn that runs in this channel.

---@type Command
return {
  name = "stop",
  description = "End the turn that is running here",
  run = function(ctx)
    local turn = ctx:stop()
    if turn then
      ctx:reply(("Stopped the turn of <@%s>."):format(turn.user_id))
    else
      ctx:reply { "Nothing is running here.", ephemeral = true }
    end
  end,
}
