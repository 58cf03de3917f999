-- /verbosity [what]: what this channel sees of a turn at work. It is kept, and counts from the next turn on.
local MEANS = {
  off = "nothing but that I am typing",
  line = "one line with what I am about, which goes once the answer stands",
  full = "one line with all that I do, which becomes a file once the answer stands",
}

---@type Command
return {
  name = "verbosity",
  description = "What this channel sees of a turn at work",
  options = {
    {
      name = "what",
      description = "Leave it out to see what is chosen now",
      choices = {
        { name = "off: nothing but typing", value = "off" },
        { name = "line: one line, while it works", value = "line" },
        { name = "full: also each tool's input and result, kept as a file", value = "full" },
        { name = "project: what the project says", value = "project" },
      },
    },
  },
  run = function(ctx, args)
    if not args.what then
      local now = ctx:verbosity() or "line"
      return ctx:reply { ("While a turn is at work, this channel sees %s (**%s**)."):format(MEANS[now], now), ephemeral = true }
    end
    local changed = ctx:set_verbosity(args.what ~= "project" and args.what)
    local before, after = changed.before or "line", changed.after or "line"
    if before == after then
      ctx:reply { ("The verbosity here is **%s** already."):format(after), ephemeral = true }
    else
      ctx:reply(("Verbosity: **%s** → **%s**, from the next turn on: %s."):format(before, after, MEANS[after]))
    end
  end,
}
