//! Writes the gallery: `cargo run -p cctf-page --example gallery -- gallery.html`.

mod content;
mod data;
mod graphs;
mod hostile;

fn main() -> std::io::Result<()> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "gallery.html".to_owned());
    std::fs::write(path, content::document().html())
}
