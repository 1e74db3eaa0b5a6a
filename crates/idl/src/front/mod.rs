//! The front end for `.idl` files: it reads them, checks them, and says what is wrong.
#![allow(dead_code)]
pub mod ast;
mod constant;
mod diagnostic;
mod lexer;
mod limits;
mod loader;
mod parser;
mod preprocess;
mod program;
mod source;
mod system;
mod token;
pub use diagnostic::{Color,Diagnostic,Severity};
pub use source::*;
pub use token::{Name,Uuid};
use std::path::PathBuf;
/// o
#[derive(Debug,Default,Clone)]
pub struct Options{
/// s
pub search:Vec<PathBuf>,
/// d
pub definitions:Vec<String>,
/// p
pub preprocessor:Preprocessor}
/// p
#[derive(Debug,Default,Clone)]
pub enum Preprocessor{
#[default]
/// b
BuiltIn,
/// b
Command(PathBuf)}
/// t
pub fn tmp(paths:&[PathBuf],o:&Options){
 let mut p=program::Program::load(paths,o);
 let mut all=vec![];
 all.append(&mut std::mem::take(&mut p.diagnostics).into_kept());
 for u in &mut p.units { all.append(&mut std::mem::take(&mut u.diagnostics).into_kept()); }
 let mut s=String::new();
 diagnostic::render(&p.loader.sources,&all,Color::Never,&mut s).unwrap();
 print!("{s}");
 eprintln!("{} units {} diags",p.units.len(),all.len());
}
