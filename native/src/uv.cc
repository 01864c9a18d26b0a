#include <uv.h>

#include <memory>

uv_loop_t* uv_default_loop() { return host::current_environment; }

int uv_thread_create(uv_thread_t* thread, uv_thread_cb entry, void* argument) {
  struct Start {
    uv_thread_cb entry;
    void* argument;
  };
  auto start = std::make_unique<Start>(Start{entry, argument});
  const auto run = [](void* data) -> void* {
    const std::unique_ptr<Start> started(static_cast<Start*>(data));
    started->entry(started->argument);
    return nullptr;
  };
  const int error = pthread_create(thread, nullptr, run, start.get());
  if (error == 0) start.release();  // The thread owns it now.
  return -error;
}

int uv_async_init(uv_loop_t* loop, uv_async_t* async, uv_async_cb callback) {
  async->loop = loop;
  async->callback = callback;
  loop->Ref();
  return 0;
}

// As in libuv, several sends before the callback runs cause one call.
int uv_async_send(uv_async_t* async) {
  std::lock_guard<std::mutex> lock(async->mutex);
  if (!async->closing && !async->sent) {
    async->sent = true;
    async->loop->Post(&async->send_task);
  }
  return 0;
}

// The close is posted after any send that is still in the queue, so that the handle outlives that send.
void uv_close(uv_handle_t* handle, uv_close_cb callback) {
  std::lock_guard<std::mutex> lock(handle->mutex);
  if (handle->closing) return;
  handle->closing = true;
  handle->close_callback = callback;
  handle->loop->Post(&handle->close_task);
}

void uv_async_t::SendTask::Run() {
  {
    std::lock_guard<std::mutex> lock(handle->mutex);
    handle->sent = false;
    if (handle->closing) return;
  }
  handle->callback(handle);
}

void uv_async_t::CloseTask::Run() {
  handle->loop->Unref();
  if (handle->close_callback) handle->close_callback(handle);  // frees the handle, and this task
}
