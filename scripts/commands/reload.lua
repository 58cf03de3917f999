-- /reload: read the scripts again. Saving a file does the same; this says what is wrong with it here.

---@type Command
return {
  name = "reload",
  description = "Read my scripts again (operators only)",
  run = function(ctx)
    -- Where the person is no operator, this raises, and the person is told so.
    local reloaded = ctx:reload()
    local problems = table.concat(reloaded.problems, "\n")
    local form = reloaded.live and "Reloaded, generation %d." or "There are errors, so generation %d stays live."
    local text = form:format(reloaded.generation)
    if problems == "" then
      ctx:reply { text, ephemeral = true }
    else
      ctx:reply { text, file = { name = "problems.txt", text = problems }, ephemeral = true }
    end
  end,
}
