//! [`escaped`]: replaces the characters that an attribute of XML cannot contain.

/// A text in the form that it has in an attribute of XML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
