//! Claude's own list of what is to do, as its tools keep it.
//!
//! Some models have the tools TaskCreate and TaskUpdate, others TodoWrite; with `CLAUDE_CODE_ENABLE_TODO_TOOLS` all of them
//! have the former. No event tells the whole list, so it is put together from the calls and their results: the number
//! of a new entry stands only in the result of the call that made it. Measured with 2.1.332.

use serde_json::Value;

/// Longer lists are followed no further.
const MOST: usize = 200;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Todo {
    /// What.
    pub subject: String,
    /// How far it is.
    pub status: TodoStatus,
}

/// How far one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TodoStatus {
    /// Not begun.
    Pending,
    /// At work.
    InProgress,
    /// Done.
    Completed,
}

impl TodoStatus {
    /// `None` for `deleted`, and for what is not known.
    fn of(name: &str) -> Option<Self> {
        match name {
            "pending" => Some(Self::Pending),
            "in_progress" => Some(Self::InProgress),
            "completed" => Some(Self::Completed),
            _ => None,
        }
    }
}

/// The list as it is known so far.
#[derive(Debug, Default)]
pub struct TodoList {
    /// With the CLI's numbers, where it gave them.
    todos: Vec<(String, Todo)>,
    /// Calls without a result.
    open: Vec<(String, TodoChange)>,
}

/// What a call is to change, once it is known to have succeeded.
#[derive(Debug)]
enum TodoChange {
    Create,
    Update(Value),
    Replace(Value),
    List,
}

impl TodoList {
    /// A tool was called.
    pub fn called(&mut self, id: &str, tool: &str, input: &Value) {
        let change = match tool {
            "TaskCreate" => TodoChange::Create,
            "TaskUpdate" => TodoChange::Update(input.clone()),
            "TodoWrite" => TodoChange::Replace(input["todos"].clone()),
            "TaskList" => TodoChange::List,
            _ => return,
        };
        self.open.push((id.to_owned(), change));
    }

    /// A call has ended; the list, if that changed it.
    pub fn ended(&mut self, id: &str, result: &Value) -> Option<Vec<Todo>> {
        let place = self.open.iter().position(|(open, _)| open == id)?;
        let (_, change) = self.open.remove(place);
        let changed = match change {
            TodoChange::Create => self.create(&result["task"]),
            TodoChange::Update(input) => result["success"] == true && self.update(&input),
            TodoChange::Replace(todos) => self.replace(&todos, "content"),
            TodoChange::List => self.replace(&result["tasks"], "subject"),
        };
        changed.then(|| self.todos.iter().map(|(_, todo)| todo.clone()).collect())
    }

    fn create(&mut self, task: &Value) -> bool {
        let (Some(id), Some(subject)) = (task["id"].as_str(), task["subject"].as_str()) else { return false };
        if self.todos.len() >= MOST {
            return false;
        }
        let todo = Todo { subject: subject.to_owned(), status: TodoStatus::Pending };
        self.todos.push((id.to_owned(), todo));
        true
    }

    fn update(&mut self, input: &Value) -> bool {
        let Some(id) = input["taskId"].as_str() else { return false };
        let Some(place) = self.todos.iter().position(|(known, _)| known == id) else { return false };
        let todo = &mut self.todos[place].1;
        let before = todo.clone();
        if let Some(subject) = input["subject"].as_str() {
            subject.clone_into(&mut todo.subject);
        }
        match input["status"].as_str() {
            Some("deleted") => {
                self.todos.remove(place);
                return true;
            }
            Some(status) => todo.status = TodoStatus::of(status).unwrap_or(todo.status),
            None => {}
        }
        *todo != before
    }

    /// Takes a whole list, whose entries have their subject under `subject`.
    fn replace(&mut self, todos: &Value, subject: &str) -> bool {
        let Some(todos) = todos.as_array() else { return false };
        let todo = |todo: &Value| {
            let status = TodoStatus::of(todo["status"].as_str()?)?;
            let id = todo["id"].as_str().unwrap_or_default().to_owned();
            Some((id, Todo { subject: todo[subject].as_str()?.to_owned(), status }))
        };
        let todos: Vec<_> = todos.iter().filter_map(todo).take(MOST).collect();
        let has_changed = todos != self.todos;
        self.todos = todos;
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(list: Option<Vec<Todo>>) -> Vec<String> {
        let mark = |status| match status {
            TodoStatus::Pending => ' ',
            TodoStatus::InProgress => '-',
            TodoStatus::Completed => 'x',
        };
        let shown = |todo: &Todo| format!("{} {}", mark(todo.status), todo.subject);
        list.expect("it has changed").iter().map(shown).collect()
    }

    #[test]
    fn the_list_follows_the_calls_that_succeed() {
        let mut list = TodoList::default();
        list.called("a", "TaskCreate", &json!({"subject": "Fix it"}));
        list.called("b", "TaskCreate", &json!({"subject": "Test it"}));
        assert_eq!(shown(list.ended("a", &json!({"task": {"id": "1", "subject": "Fix it"}}))), ["  Fix it"]);
        assert!(list.ended("a", &json!({"task": {"id": "1", "subject": "Fix it"}})).is_none(), "only once");
        list.ended("b", &json!({"task": {"id": "2", "subject": "Test it"}}));

        list.called("c", "TaskUpdate", &json!({"taskId": "1", "status": "in_progress"}));
        assert_eq!(shown(list.ended("c", &json!({"success": true}))), ["- Fix it", "  Test it"]);
        list.called("d", "TaskUpdate", &json!({"taskId": "9", "status": "completed"}));
        assert!(list.ended("d", &json!({"success": false})).is_none());
        list.called("e", "TaskUpdate", &json!({"taskId": "2", "addBlockedBy": ["1"]}));
        assert!(list.ended("e", &json!({"success": true})).is_none(), "nothing that is shown has changed");
        list.called("f", "TaskUpdate", &json!({"taskId": "2", "status": "deleted"}));
        assert_eq!(shown(list.ended("f", &json!({"success": true}))), ["- Fix it"]);
    }

    #[test]
    fn a_whole_list_replaces_what_was_there() {
        let mut list = TodoList::default();
        let todos = json!([{"content": "Fix", "status": "completed"}, {"content": "Test", "status": "pending"}, {"content": 3}]);
        list.called("a", "TodoWrite", &json!({ "todos": todos }));
        assert_eq!(shown(list.ended("a", &json!({}))), ["x Fix", "  Test"]);
    }

    #[test]
    fn what_an_earlier_turn_has_left_is_learnt_from_a_listing() {
        let mut list = TodoList::default();
        list.called("a", "TaskList", &json!({}));
        let tasks = json!({"tasks": [{"id": "3", "subject": "Fix", "status": "pending", "blockedBy": []}]});
        assert_eq!(shown(list.ended("a", &tasks)), ["  Fix"]);
        list.called("b", "TaskList", &json!({}));
        assert!(list.ended("b", &tasks).is_none(), "nothing has changed");
        list.called("c", "TaskUpdate", &json!({"taskId": "3", "status": "completed"}));
        assert_eq!(shown(list.ended("c", &json!({"success": true}))), ["x Fix"]);
    }

    #[test]
    fn results_of_other_tools_and_of_another_shape_do_no_harm() {
        let mut list = TodoList::default();
        assert!(list.ended("z", &json!("text")).is_none());
        for (tool, input) in [("TaskCreate", json!(null)), ("TaskUpdate", json!([])), ("TodoWrite", json!(3))]
        {
            list.called("a", tool, &input);
            assert!(list.ended("a", &json!([1])).is_none(), "{tool}");
        }
    }
}
