-- /model [name]: which model answers in this channel. It is kept, and counts from the next turn on.
local COMMON = { "opus", "sonnet", "haiku", "project" }

-- What `route` in routing.lua may make of it, which decides before the channel does.
local function unless(ctx, model)
  local known, next = pcall(ctx.next_turn, ctx)
  if not known or not next then return "" end
  if next.model ~= model then
    return (". But `route` gives turns here **%s**, unless the message says otherwise"):format(next.model or "the default")
  end
  return next.by_route and ", unless the message's own route says otherwise" or ""
end

---@type Command
return {
  name = "model",
  description = "Choose the model for this channel",
  options = {
    {
      name = "name",
      description = "As claude takes it, such as opus or sonnet; \"project\" goes back to the project's own",
      required = true,
      max = 200,
      autocomplete = function(_, typed)
        local found = {}
        for _, name in ipairs(COMMON) do
          if name:sub(1, #typed) == typed:lower() then found[#found + 1] = name end
        end
        return found
      end,
    },
  },
  run = function(ctx, args)
    local model = args.name:match("^%s*(.-)%s*$")
    local changed = ctx:set_model(model ~= "project" and model)
    local before, after = changed.before or "the default", changed.after or "the default"
    if before == after then
      ctx:reply { ("The model here is **%s** already%s."):format(after, unless(ctx, changed.after)), ephemeral = true }
    else
      ctx:reply(("Model: **%s** → **%s**, from the next turn on%s."):format(before, after, unless(ctx, changed.after)))
    end
  end,
}
