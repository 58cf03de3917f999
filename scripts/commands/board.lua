-- /board on [channel], /board off: one message with every turn that runs or waits, kept up to date.

---@type Command
return {
  name = "board",
  description = "Show every turn that runs or waits in one message (operators only)",
  subcommands = {
    {
      name = "on",
      description = "Show it here, or in another channel",
      options = { { name = "channel", description = "Another channel than this one", type = "channel" } },
      run = function(ctx, args)
        local channel = args.channel or ctx.channel
        -- Where the person is no operator, this raises, and the person is told so.
        ctx:set_board(channel.id)
        ctx:reply { ("The board stands in %s."):format(tostring(channel)), ephemeral = true }
      end,
    },
    {
      name = "off",
      description = "Take it away",
      run = function(ctx)
        local was_there = ctx:set_board(false)
        ctx:reply { was_there and "The board is off." or "There is no board.", ephemeral = true }
      end,
    },
  },
}
