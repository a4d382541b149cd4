use crate::args::Compare;
use crate::failure::Failure;
use crate::group::{self, Group};
use crate::output::Output;

/// `haggle compare`: groups of runs beside each other, several seeds each.
pub fn run(args: &Compare, output: Output) -> Result<(), Failure> {
    let checkpoint = args.checkpoint.as_deref().map(|name| (name, output));
    let groups = &Group::read_all(&args.groups, checkpoint)?;
    let comparison = group::comparison(groups)?;
    output.result(&comparison, &comparison);
    Ok(())
}
