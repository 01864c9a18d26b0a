#include "environment.h"

#include <exception>
#include <string>

namespace host {

constinit thread_local Environment* current_environment = nullptr;

bool Environment::Initialize() {
  napi_value name = nullptr;
  napi_create_string_utf8(napi_, "confluent-kafka-javascript", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(napi_, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
                                      RunTask, &queue_) != napi_ok) {
    return false;
  }
  napi_unref_threadsafe_function(napi_, queue_);
  return napi_add_env_cleanup_hook(napi_, Shutdown, this) == napi_ok;
}

void Environment::Post(Task* task) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (alive_) napi_call_threadsafe_function(queue_, task, napi_tsfn_nonblocking);
}

void Environment::Ref() {
  if (references_++ == 0) napi_ref_threadsafe_function(napi_, queue_);
}

void Environment::Unref() {
  if (--references_ == 0) napi_unref_threadsafe_function(napi_, queue_);
}

void Environment::RunTask(napi_env napi, napi_value, void* environment, void* task) {
  if (!napi) return;  // the queue is emptied during teardown
  Entry entry(static_cast<Environment*>(environment));
  entry.Guard([task] { static_cast<Task*>(task)->Run(); });
  entry.Report();
}

void Environment::Shutdown(void* environment) {
  auto* self = static_cast<Environment*>(environment);
  std::lock_guard<std::mutex> lock(self->mutex_);
  self->alive_ = false;
}

Entry::Entry(Environment* environment)
    : environment_(environment),
      outer_environment_(current_environment),
      outer_exception_(environment->exception_) {
  current_environment = environment;
  environment->exception_ = nullptr;
  environment->depth_++;
}

Entry::~Entry() {
  environment_->depth_--;
  environment_->exception_ = outer_exception_;
  // A thread's first environment stays current: static objects ask for it between entries.
  if (outer_environment_) current_environment = outer_environment_;
}

bool Entry::Throw() {
  if (!environment_->exception_) return false;
  napi_throw(environment_->napi_, environment_->exception_);
  return true;
}

void Entry::Report() {
  if (napi_value exception = environment_->exception_) {
    environment_->exception_ = nullptr;
    ReportUncaught(exception);
  }
}

void Entry::ParkCurrentException() {
  std::string message;
  try {
    throw;
  } catch (const EmptyHandle&) {
    message = "unexpected value in native code";
  } catch (const std::exception& exception) {
    message = exception.what();
  } catch (...) {
    message = "unknown exception in native code";
  }
  napi_value text = nullptr;
  napi_value error = nullptr;
  napi_create_string_utf8(Napi(), message.data(), message.size(), &text);
  if (napi_create_error(Napi(), nullptr, text, &error) == napi_ok) Park(error);
}

void Park(napi_value exception) {
  Environment* environment = current_environment;
  if (environment->depth_ == 0) {
    napi_throw(environment->napi_, exception);
  } else if (!environment->exception_) {
    environment->exception_ = exception;
  }
}

bool ParkPending() {
  bool pending = false;
  napi_is_exception_pending(Napi(), &pending);
  if (pending) {
    napi_value exception = nullptr;
    napi_get_and_clear_last_exception(Napi(), &exception);
    Park(exception);
  }
  return false;
}

void ReportUncaught(napi_value exception) { napi_fatal_exception(Napi(), exception); }

}  // namespace host
