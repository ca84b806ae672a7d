//! `diaphane mcp`: a server of the Model Context Protocol, by which an agent or an editor looks into running kernels
//! without executing a cell.
//!
//! The protocol is the SDK's; each tool is a magic, asked by message as `diaphane ask` does.

mod tools;

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::stdio;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};
use serde_json::Value;

use super::{ask, complain, running_kernels};
use tools::{KERNELS, PROCESS, Tools};

const INSTRUCTIONS: &str = "Questions about running Jupyter kernels of diaphane: which native libraries, threads and \
    buffers their process has, and what it runs at this moment, Python and native functions in one. They answer also \
    while a cell runs or hangs, and execute nothing there. Begin with `kernels`; for a kernel that hangs ask `stack`, \
    for what is wrong `native_doctor`.";

/// Serves until standard input ends.
pub fn serve() -> Result<()> {
    // One thread waits for messages; each question waits for its kernel on a thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let server = Server(Arc::new(Tools::offered()));
    let served = runtime.block_on(async {
        let running = server.serve(stdio()).await;
        let running =
            running.context("no client of the Model Context Protocol speaks on standard input")?;
        running.waiting().await.context("the server ended")
    });
    // A question that still waits is nobody's any more.
    runtime.shutdown_background();
    served.map(drop)
}

#[derive(Clone)]
struct Server(Arc<Tools>);

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("diaphane", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.0.list()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tools = Arc::clone(&self.0);
        let call = move || called(&tools, &request.name, request.arguments.unwrap_or_default());
        let done = tokio::task::spawn_blocking(call).await;
        let done = done.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        Ok(done.unwrap_or_else(|error| refused(&error)).into())
    }
}

/// What the one who asked can mend, in words.
fn refused(error: &anyhow::Error) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(format!("{error:#}"))])
}

fn called(tools: &Tools, name: &str, mut arguments: JsonObject) -> Result<CallToolResult> {
    let text = match name {
        KERNELS => running_kernels::list(),
        PROCESS => stack_of(&arguments)?,
        _ => {
            let kernel = match arguments.remove("kernel") {
                None | Some(Value::Null) => None,
                Some(Value::String(name)) => Some(name),
                Some(other) => bail!("kernel: {other} is no name"),
            };
            let line = tools.line(name, &arguments)?;
            let asked = ask::chosen(kernel.as_deref(), complain)?;
            return Ok(report(&ask::answer(&asked, name, &line)?));
        }
    };
    Ok(CallToolResult::success(vec![ContentBlock::text(text)]))
}

/// A report as text, and as data for the one who counts with it.
fn report(data: &Value) -> CallToolResult {
    let text = data["text/plain"].as_str().unwrap_or_default();
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    let mut by_type = data.as_object().into_iter().flatten();
    let json = by_type.find(|(kind, _)| kind.ends_with("+json"));
    result.structured_content = json.map(|(_, report)| report.clone());
    result
}

fn stack_of(arguments: &JsonObject) -> Result<String> {
    let pid = arguments.get("pid").and_then(Value::as_i64);
    let pid = pid.and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.context("pid: the number of a process is needed")?;
    diaphane_magics::stack_of_process(&diaphane_magics::StackArgs::of(pid))
        .map_err(anyhow::Error::msg)
}
