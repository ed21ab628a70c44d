//! One file a verb.

pub mod lint;
pub mod resolve;

use std::io::Read;
use std::path::Path;

fn input(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file)?;
    }
    Ok(text)
}
