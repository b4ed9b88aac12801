//! Events as people on a terminal read them: `18:30:00 warn  cannot abort the upload store=nas`.

use serde_json::Value;

use super::layer::Told;

/// The line of one event.
pub(super) fn line(told: &Told) -> String {
    let mut line = format!(
        "{} {:<5} {}",
        told.at.strftime("%H:%M:%SZ"),
        told.level.as_str().to_lowercase(),
        told.message
    );
    for (key, value) in &told.fields {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !text.is_empty() {
            line.extend([" ", key, "=", &text]);
        }
    }
    // A name from outside must not move the cursor or colour the screen.
    line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
